from .grammar import GrammarCompiler as GrammarCompiler
from .grammar import GrammarMatcher as GrammarMatcher
from .grammar import apply_grammar_masks as apply_grammar_masks
from .schema import SchemaError as SchemaError

__all__: list[str]
