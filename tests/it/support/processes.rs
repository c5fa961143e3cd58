//! The provider's processes, which Terraform starts and ends.

use std::{
    fs,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// The processes of the provider whose environment has this mark.
pub fn provider_processes(mark: &str) -> Vec<String> {
    let is_ours = |pid: &str| {
        let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let contains = |bytes: Vec<u8>, part: &str| {
            bytes
                .windows(part.len())
                .any(|window| window == part.as_bytes())
        };
        contains(read("environ"), mark) && contains(read("cmdline"), "terraform-provider-convex")
    };
    fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit()) && is_ours(pid))
        .collect()
}

/// Kills them, and says whether there were any.
pub fn kill_provider(mark: &str) -> bool {
    let processes = provider_processes(mark);
    for process in &processes {
        let _ = Command::new("kill").args(["-9", process]).status();
    }
    !processes.is_empty()
}

/// Watches the memory of these processes.
pub struct Peak {
    kilobytes: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Peak {
    pub fn watch(mark: &str) -> Self {
        let peak = Self {
            kilobytes: Arc::default(),
            over: Arc::default(),
        };
        let (kilobytes, over, mark) = (
            Arc::clone(&peak.kilobytes),
            Arc::clone(&peak.over),
            mark.to_owned(),
        );
        thread::spawn(move || {
            while !over.load(Ordering::SeqCst) {
                for process in provider_processes(&mark) {
                    let status = fs::read_to_string(format!("/proc/{process}/status"));
                    let status = status.unwrap_or_default();
                    let peak = status
                        .lines()
                        .find_map(|line| line.strip_prefix("VmHWM:"))
                        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
                    kilobytes.fetch_max(peak.unwrap_or_default(), Ordering::SeqCst);
                }
                thread::sleep(Duration::from_millis(50));
            }
        });
        peak
    }

    /// The most that one of them has held, in MiB.
    pub fn megabytes(&self) -> u64 {
        let megabytes = self.kilobytes.load(Ordering::SeqCst) / 1024;
        assert!(megabytes > 0, "the provider was watched");
        megabytes
    }
}

impl Drop for Peak {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
    }
}
