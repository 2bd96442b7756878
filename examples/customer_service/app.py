"""Customer service of a shop: answers from its handbook with citations, looks orders up in SQLite,
remembers the customer, asks for approval before a refund, and hands over what it does not know.

    python examples/customer_service/app.py                  # talk to it
    python examples/customer_service/app.py "Where is my order 1002?"
    python examples/customer_service/app.py --check          # ask 20 questions
"""

import argparse
import csv
import sqlite3
from pathlib import Path

from denizens import Agent, Memory, Persona, Policy, ToolContext, load_model, tool
from denizens.core import ApprovalRequest, Model, Reply
from denizens.planners import Dialogue
from denizens.tools import AnyTool

HERE = Path(__file__).parent
ORDERS = (
    (1001, "Ada Lund", "Kestrel 2 tent", 289.0, "delivered on 2 May"),
    (1002, "Ada Lund", "Ember stove", 45.0, "on its way, arrives on Friday"),
    (1003, "Ben Ito", "Heron 60 rucksack", 169.0, "being packed"),
)


def open_shop(path: Path | str) -> sqlite3.Connection:
    """The shop's own database: orders, refunds, and questions for a member of staff."""
    # A tool may run in another thread than the one that opened the file; each statement commits.
    shop = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    shop.executescript(
        """CREATE TABLE IF NOT EXISTS orders
             (number INTEGER PRIMARY KEY, customer TEXT, article TEXT, price REAL, state TEXT);
           CREATE TABLE IF NOT EXISTS refunds (number INTEGER PRIMARY KEY, call TEXT);
           CREATE TABLE IF NOT EXISTS tickets (customer TEXT, question TEXT);"""
    )
    shop.executemany("INSERT OR IGNORE INTO orders VALUES (?, ?, ?, ?, ?)", ORDERS)
    return shop


def shop_tools(shop: sqlite3.Connection) -> list[AnyTool]:
    """Two tools for the orders of the customer who is talking: nobody sees another's."""

    def find_order(number: int, customer: str) -> tuple[str, float, str]:
        query = "SELECT article, price, state FROM orders WHERE number = ? AND customer = ?"
        row: tuple[str, float, str] | None = shop.execute(query, (number, customer)).fetchone()
        if row is None:
            raise LookupError(f"{customer} has no order {number}")
        return row

    # The model sees name, docstring and arguments; the context, with the person, it cannot set.
    @tool(effect="reads")
    def order_status(context: ToolContext, number: int) -> str:
        """Look up where an order is and when it arrives.

        Args:
            number: the number of the order, such as 1001
        """
        article, _, state = find_order(number, context.person)
        return f"Order {number}, {article}: {state}"

    @tool(effect="acts")
    def refund(context: ToolContext, number: int) -> str:
        """Refund an order: pay the customer's money back.

        Args:
            number: the number of the order, such as 1001
        """
        article, price, _ = find_order(number, context.person)
        # An order is the key of its refund, so nobody is paid twice.
        shop.execute("INSERT INTO refunds VALUES (?, ?)", (number, context.key))
        return f"{price:.2f} pounds for order {number}, {article}, are on their way back"

    return [order_status, refund]


def make_clerk(model: Model, memory: Path | str, shop: sqlite3.Connection) -> Agent:
    """The agent. What it knows is the handbook; what it may do is in the policy."""
    return Agent(
        Persona(
            name="Robin Vale",
            traits="friendly, brief",
            background="Robin Vale answers the customers of Fell and Fern, an outdoor shop.",
        ),
        model=model,
        memory=Memory(memory, "Robin Vale"),  # one file, with what each customer said
        documents=sorted((HERE / "handbook").iterdir()),
        # What the handbook does not say is not made up; and a tool must be meant clearly.
        dialogue=Dialogue(known_only=True, margin=0.8),
        tools=shop_tools(shop),
        # Rights are decided here, not by the model: a person approves every refund. What a
        # customer says may never move money by itself; "strangers" lets it be asked for.
        policy=Policy(ask=("refund",), strangers="ask"),
    )


def serve(clerk: Agent, shop: sqlite3.Connection, text: str, customer: str) -> Reply:
    """The reply to a customer. A refund waits in ``reply.waits``; a question that the clerk cannot
    answer becomes a ticket."""
    reply = clerk.session(customer).say(text)  # the session is kept in clerk.db as well
    if reply.resolve in ("unknown", "failed"):
        shop.execute("INSERT INTO tickets VALUES (?, ?)", (customer, text))
    return reply


def approve(request: ApprovalRequest) -> bool:
    """Ask the member of staff at the terminal; anything but y is no."""
    print(f"[staff] {request.who} wants {request.tool} {request.arguments} for: {request.why}")
    return input("[staff] approve? (y/n) ").strip().lower() == "y"


def show(clerk: Agent, shop: sqlite3.Connection, text: str, customer: str) -> None:
    """Serve and print: the answer, where it stands, and who goes on."""
    reply = serve(clerk, shop, text, customer)
    for request in reply.waits:
        reply = clerk.answer(request.key, approve(request), by="staff")
    print(reply.text)
    if reply.resolve in ("unknown", "failed"):
        print("(a colleague will answer you: your question is noted)")
    elif reply.sources:
        print(f"({'; '.join(reply.sources)})")


def check(clerk: Agent) -> int:
    """Ask the questions of questions.csv; returns how many cite the right place."""
    right = 0
    with (HERE / "questions.csv").open(encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), 1):
            reply = clerk.chat(row["question"], person=f"Customer {number}")
            cited = f"{row['document']}, {row['place']}" in reply.sources
            right += cited
            print(f"{'right' if cited else 'WRONG'}  {row['question']}\n       {reply.text}")
            print(f"       ({'; '.join(reply.sources)})")
    print(f"{right} of {number} cite the right place")
    return right


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Customer service of Fell and Fern.")
    parser.add_argument("question", nargs="?", help="one question; without it a chat")
    parser.add_argument("--customer", default="Ada Lund", help="who is asking")
    parser.add_argument("--check", action="store_true", help="ask the questions of questions.csv")
    parser.add_argument("--folder", type=Path, default=Path(), help="where the two files go")
    options = parser.parse_args()
    model = load_model("smollm2")
    if options.check:
        check(make_clerk(model, ":memory:", open_shop(":memory:")))
        raise SystemExit
    shop = open_shop(options.folder / "shop.db")
    clerk = make_clerk(model, options.folder / "clerk.db", shop)
    if options.question:
        show(clerk, shop, options.question, options.customer)
    else:
        for line in iter(lambda: input("> ").strip(), ""):
            show(clerk, shop, line, options.customer)
