//! What a member remembers of its past, for `system.cluster_events` and `system.cluster_metrics`: who led and who was a member, and once a minute how
//! busy it was. In memory: it begins with the process, and each member speaks for itself.

use crate::gate::Space;
use geode_types::MemberId;
use geode_wire::internal::Membership;
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Events that are remembered.
const EVENTS_MAX: usize = 1000;
/// A week of minutes: the guides look back so far.
const SAMPLES_MAX: usize = 7 * 24 * 60;
/// Between two samples.
const SAMPLE_EVERY: Duration = Duration::from_secs(60);
/// A leader that follows so soon after leadership was handed over is the one that was meant.
const HANDED_OVER_WITHIN: Duration = Duration::from_secs(10);
/// proc(5): processor time is counted in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// Something that happened to the cluster, as this member saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) at_micros: i64,
    /// `failover`, `member_joined`, `member_left`.
    pub(crate) kind: &'static str,
    /// Who led, or left.
    pub(crate) old: Option<String>,
    /// Who leads, or joined.
    pub(crate) new: Option<String>,
    pub(crate) reason: &'static str,
}

/// How busy the member was during a minute, per cent; the disk as it is at its end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    pub(crate) at_micros: i64,
    pub(crate) cpu: f64,
    pub(crate) memory: f64,
    pub(crate) disk: f64,
    /// 99 of 100 statements took at most so many milliseconds; none when there were no statements.
    pub(crate) p99_ms: Option<f64>,
}

/// Statements by how long they took: upper bounds in seconds, and how many took at most so long, since the process began.
pub(crate) type Durations = Vec<(f64, u64)>;

#[derive(Default)]
pub(crate) struct Chronicle(Mutex<Past>);

#[derive(Default)]
struct Past {
    leader: Option<MemberId>,
    members: Vec<(MemberId, String)>,
    handed_over: Option<Instant>,
    events: VecDeque<Event>,
    samples: VecDeque<Sample>,
    last: Option<Reading>,
}

struct Reading {
    at: Instant,
    cpu_seconds: f64,
    durations: Durations,
}

impl Chronicle {
    fn past(&self) -> std::sync::MutexGuard<'_, Past> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody has asked this member to hand leadership over.
    pub(crate) fn note_hand_over(&self, now: Instant) {
        self.past().handed_over = Some(now);
    }

    /// Takes a look at who leads and who is a member.
    pub(crate) fn look(
        &self,
        leader: Option<MemberId>,
        membership: &Membership,
        at_micros: i64,
        now: Instant,
    ) {
        let mut past = self.past();
        past.note_members(membership, at_micros);
        if let Some(leader) = leader.filter(|leader| past.leader != Some(*leader)) {
            past.note_leader(leader, at_micros, now);
        }
    }

    /// Whether a minute has passed since the last sample.
    pub(crate) fn wants_sample(&self, now: Instant) -> bool {
        let past = self.past();
        past.last
            .as_ref()
            .is_none_or(|last| now.saturating_duration_since(last.at) >= SAMPLE_EVERY)
    }

    /// Takes a sample; the first reading only begins a minute.
    pub(crate) fn sample(&self, data: Space, durations: Durations, at_micros: i64, now: Instant) {
        let Ok(usage) = Usage::read() else { return };
        let mut past = self.past();
        let reading = Reading {
            at: now,
            cpu_seconds: usage.cpu_seconds,
            durations,
        };
        if let Some(last) = &past.last {
            let cores = std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
            let passed = now.saturating_duration_since(last.at).as_secs_f64() * cores;
            let sample = Sample {
                at_micros,
                cpu: percent(reading.cpu_seconds - last.cpu_seconds, passed),
                memory: percent(usage.resident, usage.memory),
                disk: percent(data.total.saturating_sub(data.free) as f64, data.total as f64),
                p99_ms: p99(&last.durations, &reading.durations).map(|seconds| seconds * 1000.0),
            };
            push(&mut past.samples, sample, SAMPLES_MAX);
        }
        past.last = Some(reading);
    }

    /// Oldest first.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.past().events.iter().cloned().collect()
    }

    /// Oldest first.
    pub(crate) fn samples(&self) -> Vec<Sample> {
        self.past().samples.iter().cloned().collect()
    }
}

impl Past {
    fn note_members(&mut self, membership: &Membership, at_micros: i64) {
        let now: Vec<(MemberId, String)> = membership
            .members
            .iter()
            .map(|member| (member.id, member.name.clone()))
            .collect();
        if now == self.members {
            return;
        }
        let before = std::mem::replace(&mut self.members, now.clone());
        // Those that the process found when it began have not joined just now.
        if before.is_empty() {
            return;
        }
        let of = |some: &[(MemberId, String)], others: &[(MemberId, String)]| -> Vec<String> {
            let news = some
                .iter()
                .filter(|(id, _)| others.iter().all(|(other, _)| other != id));
            news.map(|(_, name)| name.clone()).collect()
        };
        for name in of(&now, &before) {
            self.event(at_micros, "member_joined", None, Some(name), "membership");
        }
        for name in of(&before, &now) {
            self.event(at_micros, "member_left", Some(name), None, "membership");
        }
    }

    fn note_leader(&mut self, leader: MemberId, at_micros: i64, now: Instant) {
        let name = |past: &Self, id: MemberId| {
            let known = past.members.iter().find(|(known, _)| *known == id);
            Some(known.map_or_else(|| id.to_string(), |(_, name)| name.clone()))
        };
        let asked = self.handed_over.take();
        let reason = match asked {
            Some(asked) if now.saturating_duration_since(asked) < HANDED_OVER_WITHIN => "manual_failover",
            _ => "election",
        };
        let old = self.leader.replace(leader).and_then(|old| name(self, old));
        let new = name(self, leader);
        self.event(at_micros, "failover", old, new, reason);
    }

    fn event(
        &mut self,
        at_micros: i64,
        kind: &'static str,
        old: Option<String>,
        new: Option<String>,
        reason: &'static str,
    ) {
        let event = Event {
            at_micros,
            kind,
            old,
            new,
            reason,
        };
        push(&mut self.events, event, EVENTS_MAX);
    }
}

fn push<T>(queue: &mut VecDeque<T>, one: T, max: usize) {
    if queue.len() == max {
        queue.pop_front();
    }
    queue.push_back(one);
}

fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 {
        (part / whole * 10_000.0).round() / 100.0
    } else {
        0.0
    }
}

/// The upper bound of the bucket in which 99 of 100 statements of the time between two readings lie, seconds.
fn p99(before: &Durations, after: &Durations) -> Option<f64> {
    let since = |at: usize| {
        let (bound, count) = after.get(at)?;
        let earlier = before.get(at).map_or(0, |(_, count)| *count);
        Some((*bound, count.saturating_sub(earlier)))
    };
    let (_, all) = since(after.len().checked_sub(1)?)?;
    if all == 0 {
        return None;
    }
    let due = (all as f64 * 0.99).ceil() as u64;
    (0..after.len())
        .filter_map(since)
        .find(|(_, count)| *count >= due)
        .map(|(bound, _)| bound)
}

/// What the process uses, by proc(5), and the memory that it may use at most.
struct Usage {
    cpu_seconds: f64,
    resident: f64,
    memory: f64,
}

impl Usage {
    fn read() -> std::io::Result<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat")?;
        // The name in parentheses may hold anything; the fields after it are numbers. utime and stime are the 14th and 15th of all.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: f64 = ticks.filter_map(|field| field.parse::<f64>().ok()).sum();
        let kibibytes = |file: &str, name: &str| -> std::io::Result<f64> {
            let text = std::fs::read_to_string(file)?;
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let number = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
            Ok(number.unwrap_or_default() * 1024.0)
        };
        let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
        let limit = limit.and_then(|text| text.trim().parse::<f64>().ok());
        Ok(Self {
            cpu_seconds: ticks / TICKS_PER_SECOND,
            resident: kibibytes("/proc/self/status", "VmRSS")?,
            memory: match limit {
                Some(limit) => limit,
                None => kibibytes("/proc/meminfo", "MemTotal")?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use geode_wire::client::MemberAddress;

    fn membership(ids: &[u64]) -> Membership {
        let member = |id: &u64| MemberAddress {
            id: MemberId(*id),
            name: format!("node-{id}"),
            client: String::new(),
            internal: String::new(),
        };
        Membership {
            members: ids.iter().map(member).collect(),
            ..Membership::default()
        }
    }

    fn told(chronicle: &Chronicle) -> Vec<String> {
        let events = chronicle.events().into_iter();
        let text = |name: Option<String>| name.unwrap_or_else(|| "-".to_owned());
        events
            .map(|event| {
                format!(
                    "{} {} {} {}",
                    event.kind,
                    text(event.old),
                    text(event.new),
                    event.reason
                )
            })
            .collect()
    }

    #[test]
    fn changes_of_leaders_and_members_are_told_and_a_silence_between_leaders_is_none() {
        let (chronicle, start) = (Chronicle::default(), Instant::now());
        let look = |leader: Option<u64>, members: &[u64], seconds: u64| {
            let now = start + Duration::from_secs(seconds);
            chronicle.look(leader.map(MemberId), &membership(members), seconds as i64, now);
        };
        look(Some(1), &[1, 2], 0);
        look(None, &[1, 2], 1);
        look(Some(1), &[1, 2], 2);
        look(Some(2), &[1, 2, 3], 3);
        chronicle.note_hand_over(start + Duration::from_secs(4));
        look(Some(1), &[1, 3], 5);
        assert_eq!(
            told(&chronicle),
            [
                "failover - node-1 election",
                "member_joined - node-3 membership",
                "failover node-1 node-2 election",
                "member_left node-2 - membership",
                "failover 2 node-1 manual_failover",
            ]
        );
    }

    #[test]
    fn the_99th_of_100_statements_is_that_of_the_minute_alone() {
        let before = vec![(0.1, 500), (1.0, 500), (f64::INFINITY, 500)];
        let after = vec![(0.1, 598), (1.0, 600), (f64::INFINITY, 600)];
        assert_eq!(p99(&before, &after), Some(1.0));
        assert_eq!(p99(&after, &after), None, "no statement, no figure");
        assert_eq!(p99(&Vec::new(), &before), Some(0.1));
    }

    #[test]
    fn a_sample_has_the_minute_since_the_reading_before() {
        let (chronicle, start) = (Chronicle::default(), Instant::now());
        let half = Space { free: 50, total: 100 };
        assert!(chronicle.wants_sample(start));
        chronicle.sample(half, Vec::new(), 0, start);
        assert!(!chronicle.wants_sample(start + Duration::from_secs(59)));
        let later = start + Duration::from_secs(60);
        assert!(chronicle.wants_sample(later) && chronicle.samples().is_empty());
        chronicle.sample(half, Vec::new(), 60_000_000, later);
        let samples = chronicle.samples();
        assert_eq!(samples.len(), 1);
        assert!(
            (samples[0].disk - 50.0).abs() < 0.01 && samples[0].memory > 0.0,
            "{samples:?}"
        );
    }
}
