//! `geode backup list --chain`: a full backup and those that go on from it, as the guides print it. It must not know where an archive is.

use crate::Failure;
use crate::args::Format;
use geode_archive::{BaseBackup, Increment, Inventory, RestoreGap, restore_plan};
use geode_types::RestoreTarget;
use jiff::Timestamp;
use serde_json::json;
use std::fmt::Write as _;

/// Prints the chain of the full backup that has this name or index, or that the increment of this name belongs to; of the newest when nothing is said.
pub(crate) fn print(found: &Inventory, wanted: &str, place: &str, format: Format) -> Result<(), Failure> {
    let chain = chain_of(found, wanted, place)?;
    if format == Format::Table {
        print!("{}", chain.text());
    } else {
        println!("{}", chain.json());
    }
    Ok(())
}

struct Chain<'a> {
    base: &'a BaseBackup,
    increments: Vec<&'a Increment>,
    /// How far the log goes on from the full backup, or why it does not.
    log: Result<String, RestoreGap>,
}

fn chain_of<'a>(found: &'a Inventory, wanted: &str, place: &str) -> Result<Chain<'a>, Failure> {
    let of_increment = found.increments.iter().find(|increment| increment.name == wanted);
    let is_wanted = |base: &&BaseBackup| {
        wanted.is_empty()
            || base.name() == wanted
            || base.manifest.index.to_string() == wanted
            || of_increment.is_some_and(|increment| increment.base == base.name())
    };
    let Some(base) = found.bases.iter().rev().find(is_wanted) else {
        let known: Vec<&str> = found.bases.iter().map(BaseBackup::name).collect();
        return Err(Failure::Message(format!(
            "{place} has no full backup {wanted:?}; there are: {}",
            known.join(", ")
        )));
    };
    let mut alone = found.clone();
    alone.bases.retain(|other| other.folder == base.folder);
    let log = restore_plan(&alone, RestoreTarget::Latest, place).map(|plan| {
        let last = plan
            .segments
            .last()
            .map_or(base.manifest.index, |range| range.last);
        last.max(base.manifest.index).to_string()
    });
    let goes_on = |increment: &&Increment| increment.base == base.name();
    Ok(Chain {
        base,
        increments: found.increments.iter().filter(goes_on).collect(),
        log,
    })
}

impl Chain<'_> {
    fn bytes(&self) -> u64 {
        let incremental = |increment: &&&Increment| increment.kind != geode_types::BackupKind::Differential;
        let stored: u64 = self
            .increments
            .iter()
            .filter(incremental)
            .map(|increment| increment.bytes)
            .sum();
        self.base.manifest.stored_bytes + stored
    }

    fn restore_point(&self) -> Timestamp {
        let newest = self.increments.last().map(|increment| increment.finished_at);
        newest.unwrap_or(self.base.manifest.finished_at)
    }

    fn text(&self) -> String {
        let mut rows = vec![(
            self.base.name(),
            "full",
            self.base.manifest.stored_bytes,
            self.base.manifest.finished_at,
        )];
        rows.extend(self.increments.iter().map(|increment| {
            (
                increment.name.as_str(),
                increment.kind.name(),
                increment.bytes,
                increment.finished_at,
            )
        }));
        let mut text = format!("Backup Chain for {}:\n", self.base.name());
        for (number, (name, kind, bytes, finished)) in rows.into_iter().enumerate() {
            let line = writeln!(
                text,
                "  {}. {name} {kind:<12} ({}, {})",
                number + 1,
                size(bytes),
                moment(finished)
            );
            line.expect("invariant: a String can be written to");
        }
        let log = match &self.log {
            Ok(last) => format!("Log goes on to: {last}"),
            Err(gap) => format!("Log does not go on: {gap}"),
        };
        let (total, point) = (size(self.bytes()), moment(self.restore_point()));
        format!("{text}\nTotal size: {total}\nRestore point: {point}\n{log}\n")
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "base": {"name": self.base.name(), "manifest": self.base.manifest}, "increments": self.increments, "bytes": self.bytes(),
            "restore_point": self.restore_point(), "log_up_to": self.log.as_ref().ok(),
            "problem": self.log.as_ref().err().map(RestoreGap::to_string),
        })
    }
}

/// `2026-01-25 02:00:00`, UTC.
fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// `12.4 GB`: powers of 1000, as the guides count.
fn size(bytes: u64) -> String {
    let units = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    let fits = units.into_iter().find(|(_, unit)| bytes as f64 >= *unit);
    match fits {
        Some((name, unit)) if bytes as f64 / unit < 100.0 => format!("{:.1} {name}", bytes as f64 / unit),
        Some((name, unit)) => format!("{:.0} {name}", bytes as f64 / unit),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_printed_as_the_guides_do() {
        assert_eq!(size(12_400_000_000), "12.4 GB");
        assert_eq!(
            (size(234_000_000), size(999)),
            ("234 MB".to_owned(), "999 bytes".to_owned())
        );
        let time: Timestamp = "2026-01-25T02:00:00Z".parse().unwrap();
        assert_eq!(moment(time), "2026-01-25 02:00:00");
    }
}
