//! Which release may follow which. Neighbouring minor releases understand each other's messages and files; nothing else is promised.

/// Two releases of which the second must not follow the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathError {
    /// A release in between has to be run first.
    Skips {
        /// Which.
        first: String,
    },
    /// What the present release wrote the older one may not be able to read.
    GoesBack,
}

impl std::fmt::Display for PathError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Skips { first } => write!(f, "it skips a release: upgrade to {first} first"),
            Self::GoesBack => f.write_str(
                "it is older, and may not read what the present release has written; restore a backup from before the upgrade instead",
            ),
        }
    }
}

impl std::error::Error for PathError {}

/// Major and minor number of `1.2.3` or `1.2.3-suffix`; `None` for a tag that is no version.
fn numbers(version: &str) -> Option<(u64, u64)> {
    let mut parts = version.split('-').next()?.splitn(3, '.');
    let (major, minor, patch) = (parts.next()?, parts.next()?, parts.next()?);
    patch.parse::<u64>().ok()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Whether `to` may follow `from`, which all members run. Tags that are no versions are their user's own affair.
pub fn upgrade_path(from: &str, to: &str) -> Result<(), PathError> {
    let (Some(from), Some(to)) = (numbers(from), numbers(to)) else {
        return Ok(());
    };
    let skips = |major: u64, minor: u64| {
        Err(PathError::Skips {
            first: format!("{major}.{minor}"),
        })
    };
    match (to.0.cmp(&from.0), to.1.cmp(&from.1)) {
        (std::cmp::Ordering::Less, _) | (std::cmp::Ordering::Equal, std::cmp::Ordering::Less) => {
            Err(PathError::GoesBack)
        }
        (std::cmp::Ordering::Equal, _) if to.1 > from.1 + 1 => skips(from.0, from.1 + 1),
        (std::cmp::Ordering::Greater, _) if to != (from.0 + 1, 0) => skips(from.0 + 1, 0),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_follow_each_other_one_minor_at_a_time_and_never_back() {
        for (from, to, said) in [
            ("0.1.0", "0.1.3", None),
            ("0.1.3", "0.1.0", None),
            ("0.1.3", "0.2.0", None),
            ("0.1.0", "0.3.0", Some("upgrade to 0.2 first")),
            ("0.9.1", "1.0.0", None),
            ("0.9.1", "1.1.0", Some("upgrade to 1.0 first")),
            ("1.4.0", "3.0.0", Some("upgrade to 2.0 first")),
            ("0.2.0", "0.1.9", Some("it is older")),
            ("1.0.0", "0.9.0", Some("it is older")),
            ("0.1.0-next", "0.2.0-rc.1", None),
            ("mine", "0.9.0", None),
            ("0.1.0", "latest", None),
            ("0.1", "0.9.0", None),
        ] {
            let error = upgrade_path(from, to).err().map(|error| error.to_string());
            match said {
                None => assert_eq!(error, None, "{from} {to}"),
                Some(said) => assert!(
                    error.as_ref().is_some_and(|error| error.contains(said)),
                    "{from} {to}: {error:?}"
                ),
            }
        }
    }
}
