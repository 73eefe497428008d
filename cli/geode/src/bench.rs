//! `geode bench`: writes and reads at a fixed rate, throughput, latencies, and the longest time without an acknowledged write.
//!
//! An operation's latency counts from when it was due, so that a stalled server is not flattered by operations that were never sent.

use crate::args::{BenchArgs, Format};
use crate::{Failure, show};
use geode_client::{Client, Statement};
use geode_types::Outcome;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const PERCENTILES: [(&str, f64); 4] = [("p50", 0.50), ("p90", 0.90), ("p99", 0.99), ("max", 1.0)];
const WRITE: &str = "INSERT (:GeodeBench {run: $run, n: $n, payload: $payload})";
const READ: &str = "MATCH (b:GeodeBench) RETURN b.payload AS payload LIMIT 1";
const CLEAN_UP: &str = "MATCH (b:GeodeBench) DETACH DELETE b";

/// What one client saw.
#[derive(Default)]
struct Samples {
    writes: Vec<Duration>,
    reads: Vec<Duration>,
    failed: u64,
    unknown: u64,
    /// When writes were acknowledged, since the start.
    acknowledged: Vec<Duration>,
    last_error: Option<String>,
}

pub(crate) async fn run(args: BenchArgs) -> Result<(), Failure> {
    let client = args.connect.client()?;
    let run = rand::random::<u32>();
    let payload: Arc<str> = "x".repeat(args.value_bytes as usize).into();
    // There must be something to read.
    client.execute(write(run, -1, &payload)).await?;
    let start = Instant::now();
    let turn = Arc::new(AtomicU64::new(0));
    let workers: Vec<_> = (0..args.clients)
        .map(|_| {
            let plan = Plan {
                payload: payload.clone(),
                start,
                rate: args.rate,
                duration: args.duration,
                writes: args.writes,
                run,
            };
            tokio::spawn(work(client.clone(), plan, turn.clone()))
        })
        .collect();
    let mut all = Samples::default();
    for worker in workers {
        let seen = worker
            .await
            .map_err(|error| Failure::Message(format!("a client of the bench failed: {error}")))?;
        all.add(seen);
    }
    let took = start.elapsed();
    let cleaned = if args.keep {
        Ok(())
    } else {
        client.execute(CLEAN_UP).await.map(drop)
    };
    client.close().await;
    print(&all, took, args.format);
    cleaned?;
    match all.last_error {
        Some(error) if all.writes.is_empty() && all.reads.is_empty() => Err(Failure::Message(error)),
        _ => Ok(()),
    }
}

#[derive(Clone)]
struct Plan {
    payload: Arc<str>,
    start: Instant,
    rate: u32,
    duration: Duration,
    writes: u32,
    run: u32,
}

impl Plan {
    /// When operation number `turn` is due; `None` when the bench is over by then.
    fn due(&self, turn: u64) -> Option<Instant> {
        let due = match self.rate {
            0 => Instant::now().max(self.start),
            rate => self.start + Duration::from_secs_f64(turn as f64 / f64::from(rate)),
        };
        (due.duration_since(self.start) < self.duration && self.start.elapsed() < self.duration)
            .then_some(due)
    }

    /// Spreads writes evenly over the turns.
    fn is_write(&self, turn: u64) -> bool {
        let writes = u64::from(self.writes);
        (turn + 1) * writes / 100 > turn * writes / 100
    }
}

fn write(run: u32, number: i64, payload: &str) -> Statement {
    Statement::new(WRITE)
        .param("run", i64::from(run))
        .param("n", number)
        .param("payload", payload)
}

async fn work(client: Client, plan: Plan, turns: Arc<AtomicU64>) -> Samples {
    let mut samples = Samples::default();
    loop {
        let turn = turns.fetch_add(1, Ordering::Relaxed);
        let Some(due) = plan.due(turn) else { return samples };
        // A timer ends up to a millisecond late, so what is due already does not wait for one.
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        }
        let is_write = plan.is_write(turn);
        let statement = if is_write {
            write(plan.run, i64::try_from(turn).unwrap_or(i64::MAX), &plan.payload)
        } else {
            Statement::new(READ)
        };
        match client.execute(statement).await {
            Ok(_) if is_write => {
                samples.writes.push(due.elapsed());
                samples.acknowledged.push(plan.start.elapsed());
            }
            Ok(_) => samples.reads.push(due.elapsed()),
            Err(error) => {
                match error.outcome() {
                    Outcome::Failed => samples.failed += 1,
                    Outcome::Unknown => samples.unknown += 1,
                }
                samples.last_error = Some(error.to_string());
            }
        }
    }
}

impl Samples {
    fn add(&mut self, other: Self) {
        self.writes.extend(other.writes);
        self.reads.extend(other.reads);
        self.acknowledged.extend(other.acknowledged);
        self.failed += other.failed;
        self.unknown += other.unknown;
        self.last_error = other.last_error.or(self.last_error.take());
    }

    /// Silence up to the end counts too.
    fn longest_write_gap(&self, took: Duration) -> Option<Duration> {
        let mut times = self.acknowledged.clone();
        if !times.is_empty() {
            times.push(took);
        }
        times.sort_unstable();
        times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).max()
    }
}

fn print(samples: &Samples, took: Duration, format: Format) {
    let gap = samples
        .longest_write_gap(took)
        .map_or(Json::Null, |gap| json!(millis(gap)));
    let rows = [("write", &samples.writes), ("read", &samples.reads)]
        .map(|(name, times)| (name, summary(times, took)));
    if format == Format::Table {
        let cells = |(name, figures): &(&str, Json)| {
            let mut row = vec![
                (*name).to_owned(),
                figures["count"].to_string(),
                figures["per_second"].to_string(),
            ];
            row.extend(
                PERCENTILES
                    .iter()
                    .map(|(percentile, _)| figures[format!("{percentile}_ms")].to_string()),
            );
            row
        };
        let header = [
            "Operation",
            "Count",
            "per second",
            "p50 ms",
            "p90 ms",
            "p99 ms",
            "max ms",
        ];
        println!("{}", show::table(&header, rows.iter().map(cells)));
        println!(
            "failed {}, unknown {}, longest gap between acknowledged writes {gap} ms",
            samples.failed, samples.unknown
        );
        if let Some(error) = &samples.last_error {
            println!("last error: {error}");
        }
    } else {
        let [(_, writes), (_, reads)] = rows;
        let report = json!({
            "seconds": took.as_secs_f64(), "write": writes, "read": reads, "failed": samples.failed, "unknown": samples.unknown,
            "longest_write_gap_ms": gap, "last_error": samples.last_error,
        });
        println!("{report}");
    }
}

fn summary(times: &[Duration], took: Duration) -> Json {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let mut figures = json!({"count": sorted.len(), "per_second": (sorted.len() as f64 / took.as_secs_f64() * 10.0).round() / 10.0});
    for (name, share) in PERCENTILES {
        figures[format!("{name}_ms")] =
            percentile(&sorted, share).map_or(Json::Null, |time| json!(millis(time)));
    }
    figures
}

/// The smallest sample that is at least as large as this share of all; samples are sorted.
fn percentile(sorted: &[Duration], share: f64) -> Option<Duration> {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 100_000.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples_and_an_empty_run_has_none() {
        let sorted: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        for (share, expected) in [(0.5, 50), (0.99, 99), (1.0, 100)] {
            assert_eq!(percentile(&sorted, share), Some(Duration::from_millis(expected)));
        }
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn writes_are_spread_evenly_in_the_wanted_share() {
        for writes in [0, 1, 50, 99, 100] {
            let plan = Plan {
                payload: "".into(),
                start: Instant::now(),
                rate: 0,
                duration: Duration::ZERO,
                writes,
                run: 0,
            };
            let count = (0..1000).filter(|turn| plan.is_write(*turn)).count();
            assert_eq!(count, writes as usize * 10, "{writes}");
        }
    }

    #[test]
    fn the_longest_gap_lies_between_neighbouring_acknowledgements() {
        let acknowledged = [40, 10, 900, 20].map(Duration::from_millis).to_vec();
        let samples = Samples {
            acknowledged,
            ..Samples::default()
        };
        let gap = |took| samples.longest_write_gap(Duration::from_millis(took));
        assert_eq!(gap(910), Some(Duration::from_millis(860)));
        assert_eq!(gap(2000), Some(Duration::from_millis(1100)));
    }
}
