"""Names and scenes for dialogues without any, so that a voice learns to use those it is given."""

from __future__ import annotations

import random


def _split(text: str) -> list[str]:
    return text.split("|" if "|" in text else " ")


FIRST_NAMES = _split(
    "Ada Alma Amir Anya Aron Asha Bea Ben Bo Bruno Carla Cem Clara Cleo Dana Daniel David "
    "Dora Elena Eli Elsa Emil Emma Enzo Erik Eva Ezra Fatima Finn Flora Frida Gabriel Gina "
    "Grace Hana Hank Hassan Helen Hugo Ida Igor Ines Ingrid Iris Isaac Ivan Jack Jana Jin "
    "John Jonas Julia Kai Karen Kofi Lara Lars Laura Leila Leo Lena Liam Lily Lin Lola Luca "
    "Lucy Maja Marco Maria Mark Marta Mateo Maya Mei Mia Mina Nadia Nils Nina Noah Nora Olga "
    "Omar Oscar Otto Paula Pedro Petra Priya Rafael Ravi Rita Rosa Ruth Sam Sara Sofia Sven "
    "Tara Theo Tim Tobias Uma Vera Victor Wanda Yara Yusuf Zoe"
)
LAST_NAMES = _split(
    "Abel Adler Ahmed Alba Amado Baker Bauer Beck Bell Berg Blum Bond Brand Brook Burns "
    "Calder Carter Castro Chen Clark Cole Conti Cruz Dahl Diaz Duval Ek Ellis Falk Faye Finch "
    "Fischer Flores Ford Frost Garcia Gray Green Haas Hall Hart Hayes Holm Hunt Ito Jansen "
    "Kaya Keller Khan Kim King Klein Koch Kumar Lang Leal Lee Lind Lopez Lund Marsh Martin "
    "Mason Mehta Meyer Mills Moor Moreno Nagy Novak Okafor Olsen Ortiz Park Patel Perez Pope "
    "Quinn Reed Reyes Rossi Roth Ruiz Sato Shah Silva Stone Sun Tanaka Thorn Torres Vale Vega "
    "Wagner Walker Webb Weber Wolf Wood Wren Young Zhang"
)
PLACES = _split(
    "at home|in the cafe|in the kitchen|in the library|in the park|at the market|"
    "at the bakery|in the garden|on the town square|at the inn|at the post office|"
    "in the workshop|by the river|at the bus stop|in the office|at school|in the shop|"
    "at the station|on the beach|at the mill|in the schoolhouse|on a bench|at the gym|"
    "in the waiting room|at the harbour"
)
ACTIVITIES = _split(
    "having breakfast|reading a book|drinking coffee|waiting for somebody|taking a walk|"
    "cooking|working|sweeping the floor|eating lunch|watering the flowers|"
    "looking at the notice board|buying bread|writing a letter|resting|sorting the mail|"
    "mending a chair|drawing|preparing a lesson|feeding the birds|cleaning the tables|"
    "carrying a basket|shopping"
)


def invented_name(source: random.Random) -> str:
    """A first and a last name."""
    return f"{source.choice(FIRST_NAMES)} {source.choice(LAST_NAMES)}"


def invented_scene(source: random.Random) -> str:
    """Where the speaker is and what it does, in the first person."""
    return f"I am {source.choice(PLACES)}, {source.choice(ACTIVITIES)}."
