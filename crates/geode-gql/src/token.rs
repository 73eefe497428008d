//! What the lexer hands to the parser: kinds and spans. Contents are decoded from the text when they are needed.

use crate::Span;

/// One token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub kind: TokenKind,
    pub span: Span,
}

/// The kinds of tokens. Keywords are words: most GQL keywords are not reserved, so only the parser can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A name or keyword without quotes.
    Word,
    /// A name in backticks.
    QuotedName,
    /// An integer without sign, in any base.
    Int,
    /// A number with point or exponent.
    Float,
    /// A number that ends in `M`.
    Decimal,
    /// Digits and letters that are no number.
    MalformedNumber,
    /// Text in single or double quotes.
    Text,
    /// `X'00ff'`.
    Bytes,
    /// `$name`.
    Param,
    /// An operator or punctuation mark.
    Sym(Sym),
    /// The end of the text.
    End,
}

macro_rules! symbols {
    ($($name:ident $text:literal),* $(,)?) => {
        /// Operators and punctuation. `<-`, `->` and `--` are not here: `a<-1` compares, `(a)<-[]-(b)` points, and only the parser knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Sym { $($name),* }

        impl Sym {
            /// How it is written.
            pub(crate) fn text(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }

        /// Longest first, as the lexer must try them.
        pub(crate) const SYMBOLS: &[(&str, Sym)] = &[$(($text, Sym::$name)),*];
    };
}

symbols! {
    DotDot "..", BarBar "||", LessGreater "<>", LessEqual "<=", GreaterEqual ">=", PlusEqual "+=", FatArrow "=>", BangEqual "!=",
    LParen "(", RParen ")", LBracket "[", RBracket "]", LBrace "{", RBrace "}",
    Comma ",", Dot ".", Colon ":", Semicolon ";", Bar "|", Ampersand "&", Bang "!", Percent "%",
    Star "*", Plus "+", Minus "-", Slash "/", Caret "^", Equal "=", Less "<", Greater ">", Tilde "~", Question "?",
}
