//! The flagger (ISO/IEC 39075, 24.5.2): which constructs of a statement are not of the standard.
//!
//! The parser notes each one where it reads it; there is one grammar, so whatever is not noted is GQL.

use crate::Span;

/// A construct that ISO/IEC 39075:2024 does not have.
#[derive(Clone, Debug, PartialEq)]
pub struct Extension {
    /// What was written.
    pub construct: String,
    /// The standard's way to say it; empty when there is none.
    pub instead: &'static str,
    /// Where.
    pub span: Span,
}

/// The functions of the standard (clause 20) that Geode's grammar reads as calls. Compared without case.
const FUNCTIONS: &[&str] = &[
    "abs",
    "acos",
    "asin",
    "atan",
    "avg",
    "btrim",
    "byte_length",
    "cardinality",
    "ceil",
    "ceiling",
    "char_length",
    "character_length",
    "coalesce",
    "collect_list",
    "cos",
    "cosh",
    "cot",
    "count",
    "current_date",
    "current_time",
    "current_timestamp",
    "date",
    "degrees",
    "duration",
    "duration_between",
    "element_id",
    "elements",
    "exp",
    "floor",
    "left",
    "ln",
    "local_datetime",
    "local_time",
    "local_timestamp",
    "log",
    "log10",
    "lower",
    "ltrim",
    "max",
    "min",
    "mod",
    "normalize",
    "nullif",
    "octet_length",
    "path_length",
    "percentile_cont",
    "percentile_disc",
    "power",
    "property_exists",
    "radians",
    "right",
    "rtrim",
    "sin",
    "sinh",
    "size",
    "sqrt",
    "stddev_pop",
    "stddev_samp",
    "sum",
    "tan",
    "tanh",
    "trim",
    "upper",
    "zoned_datetime",
    "zoned_time",
    "all_different",
    "same",
];

/// Whether the standard has a function of this name.
pub(crate) fn is_standard_function(name: &str) -> bool {
    FUNCTIONS.iter().any(|known| known.eq_ignore_ascii_case(name))
}
