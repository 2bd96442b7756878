"""Chats of an agent with people: sessions, turns and streamed replies.

``session`` is the conversation of one person and ``session_log`` what the store keeps of it;
``chat_turn`` is one message and its reply, ``turn_queue`` the order of messages, ``reply_stream``
a reply while it is being made, ``chat_settings`` how one replies, and hooks of moderation.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
