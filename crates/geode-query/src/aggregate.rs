//! Aggregate functions: which there are, and how each accumulates.

use crate::datum::Datum;
use crate::error;
use crate::exec::{Seen, arithmetic};
use crate::expr::Expr;
use crate::number::Number;
use crate::semantics::total_order;
use crate::types::{Type, TypeSet};
use geode_gql::ast::BinaryOp;
use geode_gql::{Dialect, Span};
use geode_types::{QueryError, Temporal};

/// The aggregates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aggregate {
    CountRows,
    Count,
    Sum,
    Avg,
    Min,
    Max,
    Collect,
    StDev,
    StDevP,
    PercentileCont,
    PercentileDisc,
}

/// Names in lower case; GQL's and Cypher's.
const NAMES: &[(&str, Aggregate)] = &[
    ("count", Aggregate::Count),
    ("sum", Aggregate::Sum),
    ("avg", Aggregate::Avg),
    ("min", Aggregate::Min),
    ("max", Aggregate::Max),
    ("collect", Aggregate::Collect),
    ("collect_list", Aggregate::Collect),
    ("stdev", Aggregate::StDev),
    ("stddev_samp", Aggregate::StDev),
    ("stdevp", Aggregate::StDevP),
    ("stddev_pop", Aggregate::StDevP),
    ("percentilecont", Aggregate::PercentileCont),
    ("percentile_cont", Aggregate::PercentileCont),
    ("percentiledisc", Aggregate::PercentileDisc),
    ("percentile_disc", Aggregate::PercentileDisc),
];

/// One use of an aggregate.
#[derive(Clone, Debug)]
pub(crate) struct AggregateCall {
    pub function: Aggregate,
    pub distinct: bool,
    pub argument: Option<Expr>,
    /// The second argument, of the percentiles.
    pub parameter: Option<Expr>,
    pub dialect: Dialect,
    pub span: Span,
}

impl Aggregate {
    /// The aggregate of this name, in any case.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        NAMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, function)| *function)
    }

    /// All names, for corrections.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// How many arguments it takes.
    pub(crate) fn arity(self) -> usize {
        match self {
            Self::CountRows => 0,
            Self::PercentileCont | Self::PercentileDisc => 2,
            _ => 1,
        }
    }

    /// What its argument may be.
    pub(crate) fn argument(self) -> TypeSet {
        match self {
            Self::Sum | Self::Avg => TypeSet::NUMBER.or(TypeSet::DURATION),
            Self::StDev | Self::StDevP | Self::PercentileCont | Self::PercentileDisc => TypeSet::NUMBER,
            _ => TypeSet::ANY,
        }
    }

    /// The type of its result, given its argument's.
    pub(crate) fn result(self, argument: &Type) -> Type {
        match self {
            Self::CountRows | Self::Count => Type::Int,
            Self::Min | Self::Max | Self::Sum => argument.clone(),
            Self::Collect => Type::List(Box::new(argument.clone())),
            Self::Avg if matches!(argument, Type::Int | Type::Float) => Type::Float,
            Self::Avg => Type::Any,
            Self::StDev | Self::StDevP | Self::PercentileCont => Type::Float,
            Self::PercentileDisc => Type::Any,
        }
    }
}

/// The running state of one call in one group.
#[derive(Debug)]
pub(crate) struct Accumulator {
    call: Aggregate,
    dialect: Dialect,
    seen: Option<Box<Seen>>,
    count: i64,
    /// What sum() and avg() have come to.
    total: Datum,
    best: Datum,
    items: Vec<Datum>,
    parameter: Option<f64>,
}

impl Accumulator {
    pub(crate) fn new(call: &AggregateCall) -> Self {
        Self {
            call: call.function,
            dialect: call.dialect,
            seen: call.distinct.then(Box::default),
            count: 0,
            total: Datum::Null,
            best: Datum::Null,
            items: Vec::new(),
            parameter: None,
        }
    }

    /// Takes one value; returns how many bytes more the accumulator holds now.
    pub(crate) fn add(&mut self, value: &Datum, parameter: Option<Datum>) -> Result<usize, QueryError> {
        if let Some(parameter) = parameter {
            self.set_parameter(&parameter)?;
        }
        if self.call == Aggregate::CountRows {
            self.count += 1;
            return Ok(0);
        }
        if value.is_null() {
            return Ok(0);
        }
        let mut bytes = 0;
        if let Some(seen) = &mut self.seen {
            bytes += Seen::bytes_of(std::slice::from_ref(value));
            if !seen.insert(value) {
                return Ok(0);
            }
        }
        self.count += 1;
        match self.call {
            Aggregate::CountRows | Aggregate::Count => {}
            Aggregate::Sum | Aggregate::Avg => self.add_to_total(value)?,
            Aggregate::Min => self.keep_if(value, std::cmp::Ordering::Less),
            Aggregate::Max => self.keep_if(value, std::cmp::Ordering::Greater),
            Aggregate::Collect => {
                bytes += size_of::<Datum>() + value.heap_bytes();
                self.items.push(value.clone());
            }
            Aggregate::StDev | Aggregate::StDevP | Aggregate::PercentileCont | Aggregate::PercentileDisc => {
                Self::float(value)?;
                bytes += size_of::<Datum>();
                self.items.push(value.clone());
            }
        }
        Ok(bytes)
    }

    /// The result.
    pub(crate) fn finish(self) -> Result<Datum, QueryError> {
        Ok(match self.call {
            Aggregate::CountRows | Aggregate::Count => Datum::Int(self.count),
            Aggregate::Sum if self.count == 0 && self.dialect == Dialect::Cypher => Datum::Int(0),
            Aggregate::Sum => self.total,
            Aggregate::Avg if self.count == 0 => Datum::Null,
            Aggregate::Avg => match self.total {
                Datum::Int(total) => Datum::Float(total as f64 / self.count as f64),
                total => arithmetic::binary(BinaryOp::Divide, &total, &Datum::Int(self.count))?,
            },
            Aggregate::Min | Aggregate::Max => self.best,
            Aggregate::Collect => Datum::list(self.items),
            Aggregate::StDev => self.deviation(1.0),
            Aggregate::StDevP => self.deviation(0.0),
            Aggregate::PercentileCont | Aggregate::PercentileDisc => self.percentile(),
        })
    }

    fn keep_if(&mut self, value: &Datum, wanted: std::cmp::Ordering) {
        if self.best.is_null() || total_order(value, &self.best) == wanted {
            self.best = value.clone();
        }
    }

    /// Integers and decimals are added exactly, and durations part by part.
    fn add_to_total(&mut self, value: &Datum) -> Result<(), QueryError> {
        // The commonest case, which the others would do as well.
        if let (Datum::Int(total), Datum::Int(number)) = (&mut self.total, value)
            && let Some(sum) = total.checked_add(*number)
        {
            *total = sum;
            return Ok(());
        }
        if !matches!(value, Datum::Temporal(Temporal::Duration(_))) {
            Self::float(value)?;
        }
        if self.total.is_null() {
            self.total = value.clone();
            return Ok(());
        }
        self.total = match (&self.total, value) {
            // A mean of integers is a float anyway.
            (Datum::Int(total), Datum::Int(number)) if self.call == Aggregate::Avg => {
                Datum::Float(*total as f64 + *number as f64)
            }
            (Datum::Int(_), Datum::Int(_)) => return Err(error::overflow("the sum")),
            _ => arithmetic::binary(BinaryOp::Add, &self.total, value)?,
        };
        Ok(())
    }

    fn float(value: &Datum) -> Result<f64, QueryError> {
        Number::of(value).map(Number::float).ok_or_else(|| {
            let message = format!("this aggregate needs numbers and met {}", value.type_name());
            error::type_error("InvalidArgumentType", message)
        })
    }

    fn set_parameter(&mut self, parameter: &Datum) -> Result<(), QueryError> {
        let number = Self::float(parameter)?;
        if !(0.0..=1.0).contains(&number) {
            let message = format!("a percentile lies between 0.0 and 1.0, not at {number}");
            return Err(error::argument("NumberOutOfRange", message));
        }
        self.parameter = Some(number);
        Ok(())
    }

    fn deviation(&self, correction: f64) -> Datum {
        let numbers: Vec<f64> = self
            .items
            .iter()
            .filter_map(|item| Self::float(item).ok())
            .collect();
        let count = numbers.len() as f64;
        if count <= correction {
            return Datum::Float(0.0);
        }
        let mean = numbers.iter().sum::<f64>() / count;
        let squares: f64 = numbers.iter().map(|number| (number - mean).powi(2)).sum();
        Datum::Float((squares / (count - correction)).sqrt())
    }

    fn percentile(mut self) -> Datum {
        self.items.sort_by(total_order);
        let Some(last) = self.items.len().checked_sub(1) else {
            return Datum::Null;
        };
        let fraction = self.parameter.unwrap_or(0.0);
        if self.call == Aggregate::PercentileDisc {
            let at = ((fraction * self.items.len() as f64).ceil() as usize)
                .saturating_sub(1)
                .min(last);
            return self.items.swap_remove(at);
        }
        let exact = fraction * last as f64;
        let (below, above) = (exact.floor() as usize, exact.ceil() as usize);
        let number = |at: usize| {
            self.items
                .get(at)
                .and_then(|item| Self::float(item).ok())
                .unwrap_or(f64::NAN)
        };
        Datum::Float(number(below) + (number(above) - number(below)) * (exact - below as f64))
    }
}
