//! The keys of an archive: several with ids, one of which is the current one. They lie in a directory (a mounted Secret: a file a key, named by its
//! id, and the file `current`) or in one file, and are read anew whenever one is needed, so that a new key needs no restart.
//!
//! A key is found by its fingerprint, which follows from the key alone: what it is called here does not matter.

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Bytes of a key (AES-256).
pub(crate) const KEY_BYTES: usize = 32;
/// The longest id of a key.
pub(crate) const KEY_ID_MAX: usize = 64;
/// In a directory of keys: the id of the key that seals what is stored from now on.
const CURRENT: &str = "current";
/// Files of keys are small; a larger one is something else.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// What tells keys apart without giving them away.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(pub(crate) [u8; 8]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A key. Its bytes are printed nowhere.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) fingerprint: Fingerprint,
    secret: [u8; KEY_BYTES],
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.id, self.fingerprint)
    }
}

impl Key {
    fn new(id: &str, secret: [u8; KEY_BYTES]) -> Self {
        let mut key = Self {
            id: id.to_owned(),
            fingerprint: Fingerprint([0; 8]),
            secret,
        };
        let told = key.derive(&[], b"geode archive key fingerprint");
        key.fingerprint.0.copy_from_slice(&told[..8]);
        key
    }

    /// The key of one purpose (HKDF-SHA256): of one object, when `salt` is drawn for it.
    pub(crate) fn derive(&self, salt: &[u8], purpose: &[u8]) -> [u8; KEY_BYTES] {
        let mut derived = [0; KEY_BYTES];
        Salt::new(HKDF_SHA256, salt)
            .extract(&self.secret)
            .expand(&[purpose], HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut derived))
            .expect("invariant: 32 bytes are what HKDF-SHA256 yields");
        derived
    }
}

/// Why a key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The files cannot be read.
    #[error("the keys in {path} cannot be read: {source}", path = path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// They are not keys.
    #[error("the keys in {path} cannot be used: {why}", path = path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// An object is sealed with a key that is not among them.
    #[error(
        "it is sealed with the key {wanted}, which is not in {place}; there are: {known}; add that key and leave the others"
    )]
    Missing {
        /// Its id and fingerprint.
        wanted: String,
        /// Where was looked.
        place: String,
        /// Ids and fingerprints of those that are there.
        known: String,
    },
    /// An object is sealed, and nobody said where keys are.
    #[error(
        "it is sealed with the key {0}, and no keys are given (archive.encryption.keys, --encryption-key-file)"
    )]
    NoKeys(String),
}

/// All keys that there are.
#[derive(Clone, Debug)]
pub(crate) struct KeyRing {
    keys: Vec<Key>,
    current: usize,
    place: PathBuf,
}

impl KeyRing {
    /// Reads a directory of keys, or a file of them.
    pub(crate) fn read(path: &Path) -> Result<Self, KeyError> {
        let unreadable = |source| KeyError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let unusable = |why: String| KeyError::Unusable {
            path: path.to_owned(),
            why,
        };
        let (keys, current) = if std::fs::metadata(path).map_err(unreadable)?.is_dir() {
            read_directory(path).map_err(unreadable)?.map_err(unusable)?
        } else {
            let text = read_text(path).map_err(unreadable)?;
            (read_lines(&text).map_err(unusable)?, 0)
        };
        Ok(Self {
            keys,
            current,
            place: path.to_owned(),
        })
    }

    /// The key for what is stored from now on.
    pub(crate) fn current(&self) -> &Key {
        &self.keys[self.current]
    }

    /// The key with this fingerprint; `id` is what it was called when it was used.
    pub(crate) fn find(&self, id: &str, fingerprint: Fingerprint) -> Result<&Key, KeyError> {
        let found = self.keys.iter().find(|key| key.fingerprint == fingerprint);
        found.ok_or_else(|| KeyError::Missing {
            wanted: format!("{id} ({fingerprint})"),
            place: self.place.display().to_string(),
            known: self
                .keys
                .iter()
                .map(|key| format!("{key:?}"))
                .collect::<Vec<_>>()
                .join(", "),
        })
    }
}

fn read_text(path: &Path) -> io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(FILE_BYTES_MAX)
        .read_to_string(&mut text)?;
    Ok(text)
}

type Keys = (Vec<Key>, usize);

/// A file a key. Names that begin with a dot belong to Kubernetes, which exchanges the files of a Secret at once through them.
fn read_directory(path: &Path) -> io::Result<Result<Keys, String>> {
    let (mut found, mut current) = (Vec::new(), None);
    for entry in std::fs::read_dir(path)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let text = read_text(&path.join(&name))?;
        if name == CURRENT {
            current = Some(text.trim().to_owned());
        } else {
            found.push((name, text));
        }
    }
    found.sort();
    Ok(directory_keys(&found, current))
}

fn directory_keys(found: &[(String, String)], current: Option<String>) -> Result<Keys, String> {
    let keys: Result<Vec<Key>, String> = found.iter().map(|(id, text)| parse(id, text.trim())).collect();
    let keys = keys?;
    let ids = || {
        keys.iter()
            .map(|key| key.id.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let place = match (&current, &keys[..]) {
        (_, []) => {
            return Err(
                "there is no key: a key is a file with 64 hexadecimal digits, named by its id".to_owned(),
            );
        }
        (None, [_]) => 0,
        (None, _) => {
            return Err(format!(
                "there are several keys ({}), and the file `{CURRENT}` with the id of the one to use is missing",
                ids()
            ));
        }
        (Some(id), keys) => keys
            .iter()
            .position(|key| key.id == *id)
            .ok_or_else(|| format!("`{CURRENT}` names the key {id:?}; there are: {}", ids()))?,
    };
    Ok((keys, place))
}

/// A line a key, the current one first: `KEY` or `ID KEY`.
fn read_lines(text: &str) -> Result<Vec<Key>, String> {
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys: Result<Vec<Key>, String> = lines
        .map(|line| match line.split_once(char::is_whitespace) {
            Some((id, key)) => parse(id, key.trim()),
            // A key without a name is called by its fingerprint.
            None => parse("key", line).map(|key| Key {
                id: format!("key-{}", &key.fingerprint.to_string()[..8]),
                ..key
            }),
        })
        .collect();
    match keys? {
        keys if keys.is_empty() => Err("it has no line with a key, 64 hexadecimal digits".to_owned()),
        keys => Ok(keys),
    }
}

fn parse(id: &str, text: &str) -> Result<Key, String> {
    let is_sound = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    if id.is_empty() || id.len() > KEY_ID_MAX || !id.chars().all(is_sound) {
        return Err(format!(
            "{id:?} is not the id of a key: at most {KEY_ID_MAX} letters, digits, dots, hyphens and underscores"
        ));
    }
    // The text itself may be a key that was mistyped, so it is not repeated.
    let wrong = || format!("the key {id} is not 64 hexadecimal digits (openssl rand -hex 32)");
    if text.len() != 2 * KEY_BYTES || !text.is_ascii() {
        return Err(wrong());
    }
    let mut secret = [0; KEY_BYTES];
    for (place, byte) in secret.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).map_err(|_| wrong())?;
    }
    Ok(Key::new(id, secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(digit: char) -> String {
        digit.to_string().repeat(64)
    }

    #[test]
    fn a_directory_has_a_file_for_each_key_and_names_the_current_one() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let said = || KeyRing::read(dir.path()).unwrap_err().to_string();
        assert!(said().contains("there is no key"));
        std::fs::create_dir(dir.path().join("..data")).unwrap();
        put("2025", &format!("{}\n", hex('a')));
        assert_eq!(KeyRing::read(dir.path()).unwrap().current().id, "2025");
        put("2026", &hex('b'));
        assert!(said().contains("2025, 2026") && said().contains("`current`"));
        put("current", "2026\n");
        assert_eq!(KeyRing::read(dir.path()).unwrap().current().id, "2026");
        put("current", "2027");
        assert!(said().contains("names the key \"2027\"; there are: 2025, 2026"));
        put("2026", "bb");
        assert!(said().contains("the key 2026 is not 64 hexadecimal digits"));
    }

    #[test]
    fn a_file_has_a_line_for_each_key_and_the_first_is_the_current_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("backup.key");
        std::fs::write(&path, format!("# mine\nnew {}\n{}\n", hex('a'), hex('b'))).unwrap();
        let ring = KeyRing::read(&path).unwrap();
        assert_eq!(ring.current().id, "new");
        assert!(ring.keys[1].id.starts_with("key-"));
        std::fs::write(&path, "").unwrap();
        assert!(
            KeyRing::read(&path)
                .unwrap_err()
                .to_string()
                .contains("no line with a key")
        );
    }

    #[test]
    fn a_key_is_found_whatever_it_is_called_and_one_that_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        std::fs::write(&path, hex('a')).unwrap();
        let ring = KeyRing::read(&path).unwrap();
        let (here, there) = (Key::new("2026", [0xaa; 32]), Key::new("2026", [0xbb; 32]));
        assert_eq!(ring.find(&here.id, here.fingerprint).unwrap().secret, here.secret);
        let said = ring.find(&there.id, there.fingerprint).unwrap_err().to_string();
        assert!(
            said.contains(&format!("{there:?}")) && said.contains(&format!("{:?}", ring.current())),
            "{said}"
        );
        assert!(
            !said.contains("bbbb") && !format!("{ring:?}").contains("aaaa"),
            "{said} {ring:?}"
        );
    }
}
