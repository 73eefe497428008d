//! The scalar functions: one table of names, arguments, result types and implementations.
//!
//! A function gets evaluated arguments and, when it looks into the graph, the running statement's [`Cx`]. Unless it says otherwise
//! it is null when an argument is null.

mod cast;
mod convert;
mod graph;
mod lists;
mod numbers;
mod strings;
mod temporal;

pub(crate) use cast::{cast, has_type};
pub(crate) use graph::{IS_ACYCLIC, IS_SIMPLE, MAP_PROJECTION};
pub(crate) use strings::is_normalized;
pub(crate) use temporal::bare;

use crate::datum::Datum;
use crate::error;
use crate::exec::Cx;
use crate::types::{Type, TypeSet};
use geode_types::QueryError;

/// One function.
pub(crate) struct Function {
    /// As documentation writes it.
    pub name: &'static str,
    /// Other names for the same.
    pub aliases: &'static [&'static str],
    /// What each argument may be.
    pub parameters: &'static [TypeSet],
    /// How many of them must be given.
    pub required: usize,
    /// Whether the last parameter may be repeated.
    pub variadic: bool,
    /// The result's type, from the arguments'.
    pub result: fn(&[Type]) -> Type,
    /// Whether it takes nulls itself.
    pub sees_null: bool,
    /// What it does.
    pub run: Run,
}

/// An implementation.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    Pure(fn(&[Datum]) -> Result<Datum, QueryError>),
    Graph(fn(&mut Cx<'_>, &[Datum]) -> Result<Datum, QueryError>),
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

const TABLES: &[&[Function]] = &[
    graph::FUNCTIONS,
    lists::FUNCTIONS,
    numbers::FUNCTIONS,
    strings::FUNCTIONS,
    convert::FUNCTIONS,
    temporal::FUNCTIONS,
    temporal::DATE,
    temporal::LOCAL_TIME,
    temporal::TIME,
    temporal::LOCAL_DATE_TIME,
    temporal::DATE_TIME,
];

/// The function of this name, in any case.
pub(crate) fn by_name(name: &str) -> Option<&'static Function> {
    let all = TABLES.iter().flat_map(|table| table.iter());
    all.into_iter().find(|function| {
        std::iter::once(&function.name)
            .chain(function.aliases)
            .any(|known| known.eq_ignore_ascii_case(name))
    })
}

/// All names, for corrections.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    TABLES
        .iter()
        .flat_map(|table| table.iter())
        .flat_map(|function| std::iter::once(function.name).chain(function.aliases.iter().copied()))
}

impl Function {
    /// Whether it may be called with so many arguments.
    pub(crate) fn accepts(&self, count: usize) -> bool {
        count >= self.required && (self.variadic || count <= self.parameters.len())
    }

    /// The parameter at a place, the last one repeated.
    pub(crate) fn parameter(&self, at: usize) -> TypeSet {
        self.parameters
            .get(at)
            .or(self.parameters.last())
            .copied()
            .unwrap_or(TypeSet::ANY)
    }

    /// Calls it.
    pub(crate) fn call(&self, cx: &mut Cx<'_>, arguments: &[Datum]) -> Result<Datum, QueryError> {
        if !self.sees_null && arguments.iter().any(Datum::is_null) {
            return Ok(Datum::Null);
        }
        match self.run {
            Run::Pure(run) => run(arguments),
            Run::Graph(run) => run(cx, arguments),
        }
    }
}

/// The usual function: fixed arguments, null in, null out.
const fn function(
    name: &'static str,
    parameters: &'static [TypeSet],
    result: fn(&[Type]) -> Type,
    run: Run,
) -> Function {
    Function {
        name,
        aliases: &[],
        parameters,
        required: parameters.len(),
        variadic: false,
        result,
        sees_null: false,
        run,
    }
}

impl Function {
    const fn alias(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    const fn optional(mut self, required: usize) -> Self {
        self.required = required;
        self
    }

    const fn variadic(mut self) -> Self {
        self.variadic = true;
        self
    }

    const fn sees_null(mut self) -> Self {
        self.sees_null = true;
        self
    }
}

/// A mismatch that only showed while running.
fn wrong_type(function: &str, wanted: &str, got: &Datum) -> QueryError {
    error::type_error(
        "InvalidArgumentValue",
        format!("{function}() takes {wanted}, not {}", got.type_name()),
    )
}

fn bool_type(_arguments: &[Type]) -> Type {
    Type::Bool
}

fn int_type(_arguments: &[Type]) -> Type {
    Type::Int
}

fn decimal_or_float_type(arguments: &[Type]) -> Type {
    match arguments.first() {
        Some(Type::Int | Type::Float) => Type::Float,
        Some(Type::Decimal) => Type::Decimal,
        _ => Type::Any,
    }
}

fn float_type(_arguments: &[Type]) -> Type {
    Type::Float
}

fn string_type(_arguments: &[Type]) -> Type {
    Type::String
}

fn map_type(_arguments: &[Type]) -> Type {
    Type::Map
}

fn any_type(_arguments: &[Type]) -> Type {
    Type::Any
}

fn first_type(arguments: &[Type]) -> Type {
    arguments.first().cloned().unwrap_or(Type::Any)
}

fn element_type(arguments: &[Type]) -> Type {
    arguments.first().map_or(Type::Any, Type::element)
}

fn strings_type(_arguments: &[Type]) -> Type {
    Type::List(Box::new(Type::String))
}
