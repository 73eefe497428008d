//! Functions that make dates, times and durations (openCypher CIP 2015-08-06; ISO/IEC 39075, 20.27 to 20.29).
//!
//! The clock is the statement's, fixed by who runs it: on the leader, once. `.transaction` is the time of the transaction's first statement,
//! `.realtime` adds what has passed since the statement began.

use super::{Function, Run, function, int_type, wrong_type};
use crate::datum::{Datum, Entries};
use crate::error;
use crate::exec::Cx;
use crate::types::{Type, TypeSet};
use geode_types::temporal::{Component, Components, DateTime, Duration, TemporalError, TimeZone};
use geode_types::{QueryError, Temporal, TemporalKind};

type Evaluated = Result<Datum, QueryError>;

const SOURCE: TypeSet = TypeSet::STRING.or(TypeSet::MAP).or(TypeSet::TEMPORAL);
const ZONE: TypeSet = TypeSet::STRING.or(TypeSet::MAP);

/// The functions of one kind: the kind itself, its clocks, and truncation.
macro_rules! instant {
    ($kind:ident, $name:literal, [$($alias:literal),*], [$($bare:literal),*]) => {
        &[
            function($name, &[SOURCE], |_| Type::Temporal(TemporalKind::$kind), Run::Graph(|cx, arguments| {
                construct(TemporalKind::$kind, cx, arguments)
            })).optional(0).alias(&[$($alias),*]),
            function(concat!($name, ".statement"), &[ZONE], |_| Type::Temporal(TemporalKind::$kind), Run::Graph(|cx, arguments| {
                now(TemporalKind::$kind, cx.context.now_micros, arguments)
            })).optional(0).alias(&[$($bare),*]),
            function(concat!($name, ".transaction"), &[ZONE], |_| Type::Temporal(TemporalKind::$kind), Run::Graph(|cx, arguments| {
                now(TemporalKind::$kind, cx.transaction_micros, arguments)
            })).optional(0),
            function(concat!($name, ".realtime"), &[ZONE], |_| Type::Temporal(TemporalKind::$kind), Run::Graph(|cx, arguments| {
                now(TemporalKind::$kind, cx.realtime_micros(), arguments)
            })).optional(0),
            function(
                concat!($name, ".truncate"),
                &[TypeSet::STRING, TypeSet::INSTANT, TypeSet::MAP],
                |_| Type::Temporal(TemporalKind::$kind),
                Run::Pure(|arguments| truncate(TemporalKind::$kind, arguments)),
            ).optional(2),
        ]
    };
}

pub(super) const DATE: &[Function] = instant!(Date, "date", [], ["current_date"]);
pub(super) const LOCAL_TIME: &[Function] = instant!(LocalTime, "localtime", ["local_time"], []);
pub(super) const TIME: &[Function] = instant!(Time, "time", ["zoned_time"], ["current_time"]);
pub(super) const LOCAL_DATE_TIME: &[Function] = instant!(
    LocalDateTime,
    "localdatetime",
    ["local_datetime"],
    ["local_timestamp", "localtimestamp"]
);
pub(super) const DATE_TIME: &[Function] = instant!(
    DateTime,
    "datetime",
    ["zoned_datetime"],
    ["current_timestamp", "now"]
);

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "datetime.fromepoch",
        &[TypeSet::INT, TypeSet::INT],
        date_time_type,
        Run::Pure(from_epoch),
    ),
    function(
        "datetime.fromepochmillis",
        &[TypeSet::INT],
        date_time_type,
        Run::Pure(from_epoch_millis),
    ),
    // Milliseconds since 1970.
    function(
        "timestamp",
        &[],
        int_type,
        Run::Graph(|cx, _| Ok(Datum::Int(cx.context.now_micros.div_euclid(1000)))),
    ),
    function("duration", &[SOURCE], duration_type, Run::Pure(duration)),
    function(
        "duration.between",
        &[TypeSet::INSTANT, TypeSet::INSTANT],
        duration_type,
        Run::Pure(|arguments| between(arguments, Duration::between)),
    )
    .alias(&["duration_between"]),
    function(
        "duration.inMonths",
        &[TypeSet::INSTANT, TypeSet::INSTANT],
        duration_type,
        Run::Pure(|arguments| between(arguments, Duration::in_months)),
    ),
    function(
        "duration.inDays",
        &[TypeSet::INSTANT, TypeSet::INSTANT],
        duration_type,
        Run::Pure(|arguments| between(arguments, Duration::in_days)),
    ),
    function(
        "duration.inSeconds",
        &[TypeSet::INSTANT, TypeSet::INSTANT],
        duration_type,
        Run::Pure(|arguments| between(arguments, Duration::in_seconds)),
    ),
];

/// Functions that GQL calls without parentheses.
const BARE: &[&str] = &[
    "current_date",
    "current_time",
    "current_timestamp",
    "local_time",
    "local_timestamp",
];

/// The function that a name stands for when nothing else bears it: `CURRENT_DATE`.
pub(crate) fn bare(name: &str) -> Option<&'static Function> {
    let known = BARE.iter().find(|known| known.eq_ignore_ascii_case(name))?;
    super::by_name(known)
}

fn date_time_type(_arguments: &[Type]) -> Type {
    Type::Temporal(TemporalKind::DateTime)
}

fn duration_type(_arguments: &[Type]) -> Type {
    Type::Temporal(TemporalKind::Duration)
}

fn finished(result: Result<Temporal, TemporalError>) -> Evaluated {
    result
        .map(Datum::Temporal)
        .map_err(|failure| error::temporal(&failure))
}

fn component(value: &Datum) -> Component<'_> {
    match value {
        Datum::Int(number) => Component::Int(*number),
        Datum::Float(number) => Component::Float(*number),
        Datum::String(text) => Component::Text(text),
        Datum::Temporal(value) => Component::Temporal(value),
        other => Component::Other(other.type_name()),
    }
}

fn components(entries: &Entries) -> impl Iterator<Item = (&str, Component<'_>)> {
    entries
        .iter()
        .map(|(name, value)| (name.as_ref(), component(value)))
}

/// `date()`, `date('2015-07-21')`, `date({year: 2015})`, `date(other)`.
fn construct(kind: TemporalKind, cx: &mut Cx<'_>, arguments: &[Datum]) -> Evaluated {
    let now = cx.context.now_micros;
    finished(match arguments.first() {
        None => Temporal::now(kind, now, cx.context.session.time_zone()),
        Some(Datum::String(text)) => Temporal::parse(kind, text),
        Some(Datum::Temporal(value)) => value.converted(kind),
        Some(Datum::Map(entries)) => zone_of(entries).map_or_else(
            || Components::new(kind, components(entries)).and_then(|components| components.build(kind)),
            |zone| zone.and_then(|zone| Temporal::now(kind, now, zone)),
        ),
        Some(other) => {
            return Err(wrong_type(
                kind.name(),
                "a string, a record or a temporal value",
                other,
            ));
        }
    })
}

/// The zone of `{timezone: …}` with nothing beside it: the present moment is wanted as that zone shows it.
fn zone_of(entries: &Entries) -> Option<Result<TimeZone, TemporalError>> {
    match entries.as_slice() {
        [(name, Datum::String(zone))] if name.eq_ignore_ascii_case("timezone") => Some(TimeZone::parse(zone)),
        _ => None,
    }
}

/// `date.statement()`, `date.statement('Europe/Stockholm')`.
fn now(kind: TemporalKind, micros: i64, arguments: &[Datum]) -> Evaluated {
    let zone = match arguments.first() {
        None => Ok(TimeZone::UTC),
        Some(Datum::String(zone)) => TimeZone::parse(zone),
        Some(Datum::Map(entries)) if entries.is_empty() => Ok(TimeZone::UTC),
        Some(Datum::Map(entries)) => zone_of(entries).unwrap_or_else(|| {
            let message = "only timezone can be asked of the present moment";
            Err(TemporalError::Components(message.to_owned()))
        }),
        Some(other) => return Err(wrong_type(kind.name(), "a time zone", other)),
    };
    finished(zone.and_then(|zone| Temporal::now(kind, micros, zone)))
}

fn truncate(kind: TemporalKind, arguments: &[Datum]) -> Evaluated {
    let none = Entries::new();
    let (unit, value, entries) = match arguments {
        [Datum::String(unit), Datum::Temporal(value)] => (unit, value, &none),
        [Datum::String(unit), Datum::Temporal(value), Datum::Map(entries)] => (unit, value, &***entries),
        _ => {
            let message = format!(
                "{}.truncate() takes a unit, a temporal value and, if wanted, a record of components",
                kind.name()
            );
            return Err(error::type_error("InvalidArgumentValue", message));
        }
    };
    let components = Components::new(kind, components(entries));
    finished(components.and_then(|components| value.truncated(kind, unit, components)))
}

fn from_epoch(arguments: &[Datum]) -> Evaluated {
    let [Datum::Int(seconds), Datum::Int(nanos)] = arguments else {
        return Err(wrong_type("datetime.fromepoch", "integers", &arguments[0]));
    };
    if !(0..1_000_000_000).contains(nanos) {
        let message = format!("the nanoseconds of a second are 0 to 999999999, not {nanos}");
        return Err(error::argument("NumberOutOfRange", message));
    }
    finished(DateTime::from_epoch(*seconds, *nanos, TimeZone::UTC).map(Temporal::from))
}

fn from_epoch_millis(arguments: &[Datum]) -> Evaluated {
    let Datum::Int(millis) = &arguments[0] else {
        return Err(wrong_type(
            "datetime.fromepochmillis",
            "an integer",
            &arguments[0],
        ));
    };
    let nanos = millis.rem_euclid(1000) * 1_000_000;
    finished(DateTime::from_epoch(millis.div_euclid(1000), nanos, TimeZone::UTC).map(Temporal::from))
}

fn duration(arguments: &[Datum]) -> Evaluated {
    finished(match &arguments[0] {
        Datum::String(text) => Duration::parse(text).map(Temporal::from),
        Datum::Map(entries) => Duration::from_components(components(entries)).map(Temporal::from),
        Datum::Temporal(value) => value.converted(TemporalKind::Duration),
        other => return Err(wrong_type("duration", "a string, a record or a duration", other)),
    })
}

fn between(
    arguments: &[Datum],
    compute: fn(&Temporal, &Temporal) -> Result<Duration, TemporalError>,
) -> Evaluated {
    match arguments {
        [Datum::Temporal(from), Datum::Temporal(to)] => finished(compute(from, to).map(Temporal::from)),
        _ => Err(error::type_error(
            "InvalidArgumentValue",
            "a duration lies between two dates or times",
        )),
    }
}
