//! What a machine does to one member: a disk that answers no write for a while, a processor that has little time for it. Needs root,
//! `mkfs.ext4`, `fsfreeze`, loop devices and the cpu controller of cgroup v1. Each ends when its guard is dropped, also in a test that
//! fails; a disk thaws even when the test is killed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Room for the log of a test.
const DISK_BYTES: u64 = 128 << 20;
/// The cpu controller.
const CPU: &str = "/sys/fs/cgroup/cpu";
/// A tenth of a core, in microseconds of the controller's period.
const TENTH: &str = "10000";
const PERIOD: &str = "100000";
/// Opens the file system first: its path goes through a process that may end meanwhile. Ends with its standard input, whoever closes it.
const FREEZE: &str = "exec 3<\"$0\" && fsfreeze --freeze /proc/self/fd/3 && echo frozen && read _; \
                      fsfreeze --unfreeze /proc/self/fd/3";

/// What the folders of one member's process lie on. Volumes of its own end with it.
#[derive(Clone, Debug)]
pub(crate) enum Volumes {
    /// What the test itself has.
    Shared,
    /// Small ones, in memory. Any user may do that.
    Small { folders: Vec<PathBuf>, mebibytes: u32 },
    /// A folder on a disk of its own.
    Disk { folder: PathBuf, image: PathBuf },
}

impl Volumes {
    /// A new, empty disk for a folder.
    pub(crate) fn on_a_disk(folder: PathBuf) -> Self {
        let image = folder.with_extension("image");
        let file = std::fs::File::create(&image).expect("an image");
        file.set_len(DISK_BYTES).expect("an image");
        let made = Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image).status();
        assert!(
            made.is_ok_and(|status| status.success()),
            "mkfs.ext4; this test needs root, mkfs.ext4 and loop devices"
        );
        Self::Disk { folder, image }
    }

    /// A program that sees these volumes.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut script = String::new();
        let (namespaces, mounts): (&[&str], _) = match self {
            Self::Shared => return Command::new(program),
            Self::Small { folders, mebibytes } => {
                let mount = format!("mount -t tmpfs -o size={mebibytes}m tmpfs");
                let mounts = folders.iter().map(|folder| (folder, mount.clone())).collect();
                (&["--user", "--map-root-user", "--mount"], mounts)
            }
            Self::Disk { folder, image } => {
                let mount = format!("mount -o loop '{}'", image.display());
                (&["--mount"], vec![(folder, mount)])
            }
        };
        for (folder, mount) in mounts {
            let folder = folder.display();
            script += &format!("mkdir -p '{folder}' && {mount} '{folder}' && ");
        }
        let mut command = Command::new("unshare");
        command
            .args(namespaces)
            .args(["sh", "-c", &(script + "exec \"$0\" \"$@\"")])
            .arg(program);
        command
    }
}

/// A file system on which every write waits, until this is dropped.
pub struct Frozen(Child);

impl Frozen {
    pub(crate) fn new(folder: &Path) -> Self {
        let mut process = Command::new("sh")
            .args(["-c", FREEZE])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let mut said = String::new();
        let from = process.stdout.take().expect("piped");
        BufReader::new(from).read_line(&mut said).expect("sh speaks");
        let frozen = Self(process);
        assert_eq!(said, "frozen\n", "fsfreeze of {}", folder.display());
        frozen
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// A process that has a tenth of one core, until this is dropped.
pub struct Throttled(PathBuf);

impl Throttled {
    pub(crate) fn new(process: u32) -> Self {
        let group = PathBuf::from(CPU).join(format!("geode-test-{process}"));
        std::fs::create_dir(&group)
            .expect("a group of the cpu controller; this test needs root and cgroup v1");
        let throttled = Self(group);
        for (file, value) in [
            ("cpu.cfs_period_us", PERIOD),
            ("cpu.cfs_quota_us", TENTH),
            ("cgroup.procs", &process.to_string()),
        ] {
            std::fs::write(throttled.0.join(file), value).expect(file);
        }
        throttled
    }

    /// How often it had to wait for its next share.
    pub fn waited(&self) -> u64 {
        let said = std::fs::read_to_string(self.0.join("cpu.stat")).expect("cpu.stat");
        let line = said.lines().find_map(|line| line.strip_prefix("nr_throttled "));
        line.and_then(|number| number.parse().ok()).expect("nr_throttled")
    }
}

impl Drop for Throttled {
    fn drop(&mut self) {
        let processes = std::fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default();
        for process in processes.lines() {
            let _ = std::fs::write(Path::new(CPU).join("cgroup.procs"), process);
        }
        let _ = std::fs::remove_dir(&self.0);
    }
}
