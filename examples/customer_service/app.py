"""Customer service of a shop: answers from its handbook with citations, looks orders up in SQLite,
remembers the customer, asks for approval before a refund, and hands over when it does not know.

    python examples/customer_service/app.py                      # talk to it
    python examples/customer_service/app.py "Where is my order 1002?"
"""

import sqlite3
import sys
from pathlib import Path

from denizens import Agent, Memory, Persona, Policy, ToolContext, load_model, tool
from denizens.core import ApprovalRequest, Model, Reply

HERE = Path(__file__).parent
HANDBOOK = sorted((HERE / "handbook").iterdir())
ORDERS = (
    (1001, "Ada Lund", "Kestrel 2 tent", 289.0, "delivered on 2 May"),
    (1002, "Ada Lund", "Ember stove", 45.0, "on its way, arrives on Friday"),
    (1003, "Ben Ito", "Heron 60 rucksack", 169.0, "being packed"),
)


def open_orders(path: Path) -> sqlite3.Connection:
    """The shop's database of orders, refunds and handed-over questions; made on first use."""
    # A reply may be made in another thread than this one.
    orders = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    orders.executescript(
        """CREATE TABLE IF NOT EXISTS orders
             (number INTEGER PRIMARY KEY, customer TEXT, article TEXT, price REAL, state TEXT);
           CREATE TABLE IF NOT EXISTS refunds (key TEXT PRIMARY KEY, number INTEGER UNIQUE);
           CREATE TABLE IF NOT EXISTS tickets (customer TEXT, question TEXT);"""
    )
    orders.executemany("INSERT OR IGNORE INTO orders VALUES (?, ?, ?, ?, ?)", ORDERS)
    return orders


def order_tools(orders: sqlite3.Connection) -> list:
    """The two tools that see the orders of the customer who is talking, and of nobody else."""

    def find(number: int, customer: str) -> tuple:
        row = orders.execute(
            "SELECT article, price, state FROM orders WHERE number = ? AND customer = ?",
            (number, customer),
        ).fetchone()
        if row is None:
            raise LookupError(f"{customer} has no order {number}")
        return row

    @tool(effect="reads")
    def order_status(context: ToolContext, number: int) -> str:
        """Look up where an order is and when it arrives.

        Args:
            number: the number of the order, such as 1001
        """
        article, price, state = find(number, context.person)
        return f"Order {number}, {article}, {price:.2f} pounds: {state}"

    @tool(effect="acts")
    def refund(context: ToolContext, number: int) -> str:
        """Refund an order: pay the customer's money back.

        Args:
            number: the number of the order, such as 1001
        """
        article, price, _ = find(number, context.person)
        # The key is the same when a call is tried again, so nobody is paid twice.
        orders.execute("INSERT OR IGNORE INTO refunds VALUES (?, ?)", (context.key, number))
        return f"{price:.2f} pounds for order {number}, {article}, are on their way back"

    return [order_status, refund]


def make_clerk(model: Model, memory: Path | str, orders: sqlite3.Connection) -> Agent:
    """The agent: its knowledge is the handbook, its rights are the policy's."""
    return Agent(
        Persona(
            name="Robin Vale",
            traits="friendly, brief",
            background="Robin Vale answers the customers of Fell and Fern, an outdoor shop.",
        ),
        model=model,
        memory=Memory(memory, "Robin Vale"),
        documents=HANDBOOK,
        tools=order_tools(orders),
        # Decided in code, not by the model: a member of staff approves every refund. "strangers"
        # is for tools that act after a customer's words were read; here they are asked for too.
        policy=Policy(ask=("refund",), strangers="ask"),
    )
