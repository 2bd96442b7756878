"""Choosing among a thousand tools, synthetic and from BFCL: accuracy and latency."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ...core import Choose, Json, Option, Seed, tool_option
from ...models import LocalModel
from ..bfcl import bfcl_files, load_bfcl
from ..models import choices

FEW, MANY = 10, 1000
TIMED = 24  # requests whose choice is timed among few and among many
SYNTHETIC_REQUESTS = 200  # of the made requests

# Kinds of business and the things of each; no thing is of two.
BUSINESS_THINGS = {
    "travel": "flight, hotel room, train ticket, rental car, travel insurance, airport transfer, "
    "cruise cabin, city tour, visa application, luggage claim",
    "bank": "savings account, credit card, wire transfer, mortgage, standing order, bank "
    "statement, overdraft limit, currency exchange, direct debit, safe deposit box",
    "clinic": "doctor's appointment, prescription, blood test, vaccination, x-ray image, referral "
    "letter, patient record, physiotherapy session, allergy note, hospital bed",
    "school": "homework assignment, exam result, class timetable, parent meeting, school trip, "
    "library loan, report card, enrolment form, lunch menu, student club",
    "shop": "shopping cart, gift voucher, product review, delivery slot, return label, wish list, "
    "loyalty points, price alert, stock level, invoice",
    "kitchen": "recipe, grocery list, oven timer, meal plan, wine pairing, dishwasher cycle, "
    "fridge inventory, coffee order, cooking class, table reservation",
    "garden": "lawn mower run, sprinkler schedule, plant catalogue, compost bin, greenhouse "
    "climate, seed order, pest report, tree pruning, pond pump, soil sample",
    "office": "meeting room, calendar event, expense report, video call, printer job, holiday "
    "request, project task, payroll slip, visitor badge, desk booking",
    "music": "playlist, concert ticket, guitar lesson, album release, song lyrics, radio station, "
    "karaoke night, sound recording, piano tuning, festival pass",
    "sports": "football match, gym membership, swimming lane, tennis court, marathon entry, yoga "
    "course, ski pass, bicycle repair, team roster, climbing permit",
    "weather": "storm warning, rain forecast, pollen count, wind map, snow report, tide table, "
    "ultraviolet index, air quality reading, drought outlook, lightning log",
    "home": "thermostat, door lock, window blind, vacuum robot, smoke detector, burglar alarm, "
    "light scene, water meter, garage gate, solar panel",
    "car": "fuel log, parking space, toll payment, tyre change, service interval, number plate, "
    "charging station, road tax, accident report, driving lesson",
    "government": "passport, tax return, birth certificate, building permit, parking fine, voter "
    "registration, pension claim, court hearing, fishing licence, recycling pickup",
    "computing": "database backup, server cluster, code repository, bug ticket, api key, firewall "
    "rule, container image, log file, test suite, domain name",
    "news": "headline, podcast episode, press release, newspaper subscription, editorial, "
    "crossword puzzle, obituary, weather column, opinion poll, photo gallery",
    "research": "journal article, grant proposal, survey, lab notebook, telescope slot, genome "
    "sequence, citation, conference talk, data set, peer review",
    "pets": "dog walk, cat food, vet visit, aquarium filter, bird cage, pet passport, kennel "
    "stay, puppy training, flea treatment, horse stable",
    "events": "wedding invitation, birthday cake, seating plan, photographer, dance floor, guest "
    "speaker, stage light, fireworks show, raffle, catering order",
    "property": "apartment listing, rent payment, plumber visit, moving van, floor plan, tenant, "
    "house valuation, cleaning service, lease contract, storage unit",
}
# What is done to a thing: in a name, in a description, and as people ask for it.
ACTIONS = (
    ("create", "Set up a new {}.", "I would like to have a {}, can you arrange it?"),
    ("cancel", "Cancel an existing {}.", "Please call off the {}, I no longer need it."),
    ("update", "Change the details of a {}.", "Something about my {} has to be altered."),
    ("get_status", "Look up the current state of a {}.", "How are things with the {} right now?"),
    ("share", "Send a {} to another person.", "Could you pass the {} on to my sister?"),
)


def synthetic_tools() -> list[tuple[Option, str]]:
    """1,000 tools, each with a request that paraphrases its action."""
    found = []
    for business, things in BUSINESS_THINGS.items():
        for thing in (one.strip() for one in things.split(",")):
            for action, description, request in ACTIONS:
                name = f"{business}.{action}_{thing.replace(' ', '_').replace(chr(39), '')}"
                found.append((tool_option(name, description.format(thing)), request.format(thing)))
    return found


def measure_search(
    model: LocalModel, data: Path, *, quick: bool, progress: Callable[[str], None]
) -> dict[str, Json]:
    """Accuracy (first, and among the best eight) on the synthetic tools and on all functions of
    BFCL; the time of a choice among 1,000 tools divided by that among 10."""
    tools = synthetic_tools()
    # Drawn, for the tools lie in an order: every fifth is of the same action.
    asked = Seed.of(1).child("asked").rng().sample(tools, 20 if quick else SYNTHETIC_REQUESTS)
    progress(f"search: {len(asked)} requests among {len(tools)} made tools")
    found: dict[str, Json] = {
        "made": search_accuracy(
            model,
            [option for option, _ in tools],
            [(request, option.name) for option, request in asked],
        )
    }
    if any(bfcl_files(data, part) for part in POOLED):
        pool, requests = pooled_functions(data, 20 if quick else None)
        progress(f"search: {len(requests)} requests among {len(pool)} functions of BFCL")
        found["bfcl"] = search_accuracy(model, pool, requests)
    progress("search: seconds among 10 and among 1,000")
    return found | search_latency(model, tools)


POOLED = ("multiple", "live_multiple", "simple_python")


def pooled_functions(data: Path, most: int | None) -> tuple[list[Option], list[tuple[str, str]]]:
    """All functions of BFCL by name, and the requests with their right function. Of functions that
    share a name only the first is kept, and requests for the others are left out."""
    known: dict[str, Option] = {}
    requests = []
    for part in (part for part in POOLED if bfcl_files(data, part)):
        items = load_bfcl(data, part)
        for item in items:
            for option in item.options():
                known.setdefault(option.name, option)
        requests += [
            (item.request, item.right)
            for item in items[:most]
            if any(known[item.right] == option for option in item.options())
        ]
    return [*known.values()], requests


def search_accuracy(
    model: LocalModel, options: Sequence[Option], requests: Sequence[tuple[str, str]]
) -> dict[str, Json]:
    """How often the right tool is first, and among the eight likeliest."""
    asks = [_ask(options, request) for request, _ in requests]
    first, eight = [], []
    for choice, (_, right) in zip(choices(model, asks, "auto"), requests):
        ranked = np.argsort(-np.array(choice.probabilities), kind="stable")
        first.append(options[choice.index].name == right)
        eight.append(right in {options[place].name for place in ranked[:8]})
    return {
        "tools": len(options),
        "requests": len(requests),
        "top_1": float(np.mean(first)),
        "top_8": float(np.mean(eight)),
    }


def search_latency(model: LocalModel, tools: Sequence[tuple[Option, str]]) -> dict[str, Json]:
    """Median seconds of one choice among few and among all tools, in alternation, each with a new
    request; embeddings of tools are cached before."""
    options = [option for option, _ in tools]
    rng = Seed.of(1).child("search").rng()
    spent: dict[int, list[float]] = {FEW: [], MANY: []}
    places = rng.sample(range(len(tools)), 2 * TIMED + 2)
    for turn, place in enumerate(places):
        size = (FEW, MANY)[turn % 2]
        others = rng.sample(options, FEW - 1)
        few = [options[place], *(one for one in others if one != options[place])]
        ask = _ask(few if size == FEW else options, tools[place][1] + " Thank you.")
        began = time.perf_counter()
        choices(model, [ask], "auto")
        if turn > 1:  # the first of each warms up
            spent[size].append(time.perf_counter() - began)
    few_s, many_s = (statistics.median(spent[size]) for size in (FEW, MANY))
    return {
        "seconds": {"among_10": round(few_s, 4), "among_1000": round(many_s, 4)},
        "times_as_long": round(many_s / few_s, 2),
    }


def _ask(options: Sequence[Option], request: str) -> Choose:
    return Choose(messages=(), options=tuple(options), about=request, role="tool")
