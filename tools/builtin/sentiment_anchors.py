"""Example texts for sentiment: anchors of a Rate ask, from 1 (negative) to 3 (positive)."""

from __future__ import annotations

from ...core import Anchor

POSITIVE_EXAMPLES = (
    "I am very happy with it.",
    "What wonderful news!",
    "Thank you, that was so kind.",
    "A beautiful, funny and moving work.",
    "Excellent service and delicious food.",
    "I love this place.",
    "We won and celebrated all night.",
    "It works perfectly and was easy to use.",
    "She felt proud and full of hope.",
    "The best day of my life.",
    "He praised her for her good work.",
    "A relief: all is well again.",
    "Well made, worth the price, I recommend it.",
    "We laughed and enjoyed every minute.",
    "They were friendly and helped us at once.",
    "The baby smiled at me.",
    "I passed the exam!",
    "A peaceful, pretty spot to rest.",
)
NEGATIVE_EXAMPLES = (
    "I am very unhappy with it.",
    "What terrible news!",
    "That was rude and unfair.",
    "A boring, ugly and stupid work.",
    "Awful service and disgusting food.",
    "I hate this place.",
    "We lost and were bitterly disappointed.",
    "It broke at once and was hard to use.",
    "She felt lonely and afraid.",
    "The worst day of my life.",
    "He blamed her for her bad work.",
    "I am angry, I want my money back.",
    "He died and they mourned.",
    "It never came, and nobody answered my complaint.",
    "They cheated us and would not apologise.",
    "The place was filthy, loud and full of vermin.",
    "I failed, and it is my own fault.",
    "They insulted him and sent him away.",
)
NEUTRAL_EXAMPLES = (
    "The shop is open from nine to five.",
    "The meeting takes place on Monday.",
    "Add the flour to the water.",
    "The house has four rooms.",
    "Turn right at the corner.",
    "He works as a clerk.",
    "The document is attached.",
    "The town lies on a river.",
    "She sat down and read the paper.",
    "The price is four pounds.",
    "It was founded in 1920.",
    "Please fill in the form.",
    "The bus stops in front of the school.",
    "The box holds twelve pencils.",
    "They moved to the city in spring.",
    "The lesson is in the room on the left.",
    "The rule applies to all members.",
    "It is made of wood and glass.",
)
SENTIMENT_ANCHORS = (
    *(Anchor(3, text) for text in POSITIVE_EXAMPLES),
    *(Anchor(2, text) for text in NEUTRAL_EXAMPLES),
    *(Anchor(1, text) for text in NEGATIVE_EXAMPLES),
)
"""1: negative, 2: neutral, 3: positive."""
