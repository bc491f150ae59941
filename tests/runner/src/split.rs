// SPDX-License-Identifier: GPL-2.0

//! Runs all suites in several VMs at a time, where the host has CPUs that one VM leaves idle. Each VM
//! gets about the same share by the times of the runs before.
//!
//! Suites wait, too, for time-outs and grace periods, and a VM is idle meanwhile. So the host has one
//! thing more to do than it has CPUs for: first the check of the runner, which boots VMs of its own, and
//! then one more VM, with what is left for it.

use std::collections::BTreeMap;
use std::fs;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result};

use crate::accel::Accel;
use crate::results::Results;
use crate::self_check;
use crate::suites::{self, How, Vm};
use crate::summary::Summary;

/// What looks for traces of the suites before it: it runs in every VM.
const EVERYWHERE: &str = "kmemleak";
/// A suite that never ran takes so many seconds, it is assumed.
const UNKNOWN: f64 = 3.0;
/// What a boot takes, about.
const BOOT: f64 = 6.0;
/// More VMs than this have too few suites each to be worth a boot and 1 GB.
const MOST: usize = 4;

/// How long suites took once, on two CPUs; of those that are not here nobody has to know.
const USUAL: &[u8] = include_bytes!("../times.json");

/// How many VMs with so many CPUs keep so many CPUs of the host busy.
pub fn vms(accel: Accel, host: usize, guest: usize) -> usize {
    let one = match accel {
        // All of its CPUs are one thread.
        Accel::TcgInTurns => 1,
        Accel::Kvm | Accel::Tcg => guest.max(1),
        Accel::Counting => return 1,
    };
    (host / one).clamp(1, MOST)
}

/// How long suites took in the VM, in seconds, by name.
#[derive(Debug, Default)]
pub struct Times(BTreeMap<String, f64>);

impl Times {
    /// By earlier runs; by times that came with the source, where there is none.
    pub fn read(file: &Path) -> Self {
        let parse = |text: &[u8]| serde_json::from_slice(text).ok();
        let text = fs::read(file).unwrap_or_default();
        Self(parse(&text).or_else(|| parse(USUAL)).unwrap_or_default())
    }

    /// By one run more.
    pub fn learn(&mut self, summary: &Summary) {
        let suites = summary.suites.iter().filter(|suite| suite.place == "vm");
        let timed = suites.filter_map(|suite| Some((suite.name.clone(), suite.seconds?)));
        self.0.extend(timed);
    }

    /// For [`Self::read`].
    pub fn write(&self, file: &Path) -> Result<()> {
        Ok(fs::write(file, serde_json::to_vec_pretty(&self.0)?)?)
    }

    fn of_suite(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(UNKNOWN)
    }

    /// Divides suites into so many groups that take about as long: the longest first, each to the
    /// group that has the least to do. In a group they keep their order. With a group `later`, which is the
    /// last, for who checks the runner first; it may be empty.
    fn divide(&self, names: &[String], groups: usize, later: bool) -> Vec<Vec<String>> {
        let mut longest: Vec<&String> = names.iter().filter(|&name| name != EVERYWHERE).collect();
        longest.sort_by(|a, b| self.of_suite(b).total_cmp(&self.of_suite(a)));
        let mut divided = vec![(0.0_f64, Vec::new()); groups.clamp(1, longest.len().max(1))];
        if later {
            divided.push((self.of_suite(self_check::NAME) + BOOT, Vec::new()));
        }
        for name in longest {
            let least = divided.iter_mut().min_by(|(a, _), (b, _)| a.total_cmp(b));
            let (seconds, group) = least.expect("there is a group");
            *seconds += self.of_suite(name);
            group.push(name.clone());
        }
        let last = divided.len() - 1;
        let everywhere = names.iter().filter(|&name| name == EVERYWHERE);
        let groups = divided.into_iter().enumerate();
        let groups = groups.map(|(number, (_, mut group))| {
            if !(later && number == last && group.is_empty()) {
                group.extend(everywhere.clone().cloned());
            }
            group.sort_by_key(|name| names.iter().position(|other| other == name));
            group
        });
        groups.collect()
    }
}

/// How suites are divided.
#[derive(Clone, Copy, Debug)]
pub struct Lanes {
    /// So many VMs at a time.
    pub vms: usize,
    /// And one more, when the runner was checked.
    pub later: bool,
}

/// Runs these suites, in so many VMs at a time, and beside them the tests on the host and the check of
/// the runner. What VMs leave is in a folder for each, of which `leave` is told.
pub fn run(
    vm: &Vm<'_>,
    names: &[String],
    (lanes, times): (Lanes, &Times),
    how: &How,
    leave: impl Fn(&Path) -> Result<()>,
    host: impl FnOnce(&mut Results) -> Result<()> + Send,
    results: &Results,
) -> Result<()> {
    let mut groups = times.divide(names, lanes.vms, lanes.later);
    let last = if lanes.later { groups.pop() } else { None };
    let last = last.filter(|group| !group.is_empty());
    let alone = groups.len() == 1 && last.is_none();
    let folder = |number: usize| -> Result<PathBuf> {
        if alone {
            return Ok(vm.keep.to_owned());
        }
        let keep = vm.keep.join(format!("vm-{number}"));
        fs::create_dir_all(&keep).with_context(|| format!("cannot make {}", keep.display()))?;
        leave(&keep)?;
        Ok(keep)
    };
    let one = |keep: &Path, group: &[String], results: &mut Results| {
        suites::run(&Vm { keep, ..*vm }, group, how, results)
    };
    thread::scope(|scope| {
        let mut running = Vec::new();
        for (number, group) in (1..).zip(&groups) {
            let keep = folder(number)?;
            let mut results = results.part();
            running.push(scope.spawn(move || one(&keep, group, &mut results)));
        }
        let last = last.map(|group| anyhow::Ok((folder(groups.len() + 1)?, group)));
        let last = last.transpose()?;
        let mut part = results.part();
        running.push(scope.spawn(move || host(&mut part)));
        let mut results = results.part();
        running.push(scope.spawn(move || {
            self_check::run(vm, how, 1, &mut results)?;
            last.map_or(Ok(()), |(keep, group)| one(&keep, &group, &mut results))
        }));
        for one in running {
            one.join().unwrap_or_else(|panic| resume_unwind(panic))?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary;

    fn divided(times: &[(&str, f64)], names: &[&str], groups: usize) -> Vec<String> {
        divided_with(times, names, groups, false)
    }

    fn divided_with(
        times: &[(&str, f64)],
        names: &[&str],
        groups: usize,
        later: bool,
    ) -> Vec<String> {
        let times = times
            .iter()
            .map(|&(name, seconds)| (name.to_owned(), seconds));
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let divided = Times(times.collect()).divide(&names, groups, later);
        divided.iter().map(|group| group.join(" ")).collect()
    }

    #[test]
    fn who_checks_the_runner_first_gets_less() {
        let check = self_check::NAME;
        let times = [("a", 40.0), ("b", 30.0), ("c", 9.0), (check, 50.0 - BOOT)];
        let names = ["a", "b", "c", "kmemleak"];
        let expected = ["a kmemleak", "b c kmemleak", ""];
        assert_eq!(divided_with(&times, &names, 2, true), expected);
        let times = [("a", 40.0), ("b", 30.0), ("c", 9.0), (check, 20.0 - BOOT)];
        let expected = ["a kmemleak", "b kmemleak", "c kmemleak"];
        assert_eq!(divided_with(&times, &names, 2, true), expected);
    }

    #[test]
    fn some_times_came_with_the_source() {
        let times = Times::read(Path::new("/nonexistent"));
        for name in ["storm", "hostile", self_check::NAME] {
            assert!(times.of_suite(name) > UNKNOWN, "{name}");
        }
    }

    #[test]
    fn groups_take_about_as_long() {
        let times = [("a", 1.0), ("b", 9.0), ("c", 4.0), ("d", 5.0)];
        assert_eq!(divided(&times, &["a", "b", "c", "d"], 2), ["a b", "c d"]);
        assert_eq!(divided(&times, &["a", "b", "c", "d"], 3), ["b", "d", "a c"]);
    }

    #[test]
    fn times_are_kept_until_there_are_others() {
        let suite = |name: &str, seconds| summary::Suite {
            place: "vm".to_owned(),
            name: name.to_owned(),
            seconds: Some(seconds),
            ..summary::Suite::default()
        };
        let file = std::env::temp_dir().join(format!("runner-{}-times", std::process::id()));
        let mut times = Times::default();
        for suites in [
            [suite("a", 5.0), suite("b", 1.0)],
            [suite("b", 9.0), suite("c", 2.0)],
        ] {
            let mut summary = Summary::default();
            suites.into_iter().for_each(|suite| summary.add(suite));
            times.learn(&summary);
            times.write(&file).expect("there is room for a file");
            times = Times::read(&file);
        }
        let _ = fs::remove_file(&file);
        let known = ["a", "b", "c", "d"].map(|name| times.of_suite(name));
        assert_eq!(known, [5.0, 9.0, 2.0, UNKNOWN]);
    }

    #[test]
    fn every_suite_runs_once() {
        let names = ["a", "b", "c", "d", "e"];
        for groups in 0..9 {
            let divided = divided(&[("b", 90.0)], &names, groups).join(" ");
            let mut all: Vec<&str> = divided.split(' ').collect();
            all.sort_unstable();
            assert_eq!(all, names, "{groups}");
        }
    }

    #[test]
    fn what_looks_for_traces_runs_in_every_vm() {
        let names = ["a", "kmemleak", "b"];
        assert_eq!(divided(&[], &names, 2), ["a kmemleak", "kmemleak b"]);
        assert_eq!(divided(&[], &["kmemleak"], 2), ["kmemleak"]);
    }

    #[test]
    fn as_many_vms_as_keep_the_host_busy() {
        assert_eq!(vms(Accel::TcgInTurns, 2, 2), 2);
        assert_eq!(vms(Accel::Tcg, 2, 2), 1);
        assert_eq!(vms(Accel::Kvm, 8, 2), 4);
        assert_eq!(vms(Accel::Kvm, 64, 2), MOST);
        assert_eq!(vms(Accel::Kvm, 1, 2), 1);
        assert_eq!(vms(Accel::Counting, 64, 1), 1);
    }
}
