//! What the system knows of this process, under the names that Prometheus' own libraries give it. Elsewhere than
//! on Linux there is none of it.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

/// Ticks a second in /proc: what Linux promises to every program, whatever the kernel counts in.
const TICKS: f64 = 100.0;

/// What is known; each apart from the others, since each can be unreadable.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Process {
    pub(super) cpu_seconds: Option<f64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) open_files: Option<u64>,
    pub(super) max_files: Option<u64>,
}

impl Process {
    pub(super) fn read() -> Self {
        let text = |file| fs::read_to_string(file).ok();
        Self {
            cpu_seconds: text("/proc/self/stat").as_deref().and_then(cpu_seconds),
            resident_bytes: text("/proc/self/status").as_deref().and_then(resident_bytes),
            // One of them is the one that reads.
            open_files: fs::read_dir("/proc/self/fd")
                .ok()
                .map(|files| (files.count() as u64).saturating_sub(1)),
            max_files: text("/proc/self/limits").as_deref().and_then(max_files),
        }
    }
}

/// UNIX seconds.
pub(super) fn unix_seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// `1 (name) S ..`, time as user and as system the 14th and 15th word. A name may hold blanks and brackets.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after) = stat.rsplit_once(')')?;
    let mut words = after.split_whitespace().skip(11);
    let mut ticks = || words.next()?.parse::<u64>().ok();
    Some((ticks()?.saturating_add(ticks()?)) as f64 / TICKS)
}

/// `VmRSS:     1234 kB`
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// `Max open files   SOFT   HARD   files`; none where there is no limit.
fn max_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_read_as_the_system_writes_them() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 2 0 0 0 150 75 0 0 20 0 9 0 1 2 3";
        assert_eq!(cpu_seconds(stat), Some(2.25));
        assert_eq!(resident_bytes("VmHWM:\t 9 kB\nVmRSS:\t    2048 kB\nRssAnon: 1 kB\n"), Some(2 << 20));
        let limits = "Limit   Soft Limit   Hard Limit   Units\nMax open files            1024                 4096                 files\n";
        assert_eq!(max_files(limits), Some(1024));
        assert_eq!(
            max_files("Max open files            unlimited            unlimited            files\n"),
            None
        );
        for nothing in ["", "7 (a", "VmRSS: lots\n", "Max open files"] {
            assert_eq!(
                (cpu_seconds(nothing), resident_bytes(nothing), max_files(nothing)),
                (None, None, None),
                "{nothing}"
            );
        }
    }
}
