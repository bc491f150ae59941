// SPDX-License-Identifier: GPL-2.0

//! Which tests are to run: `T="suite suite:test*"`, or what failed in an earlier run.
//!
//! A program gets its part of that as the environment's `TESTS` (tests/selftests/src/tap.rs). That is
//! a word of the kernel's command line, where there is room for so much and no more.

use anyhow::{Context, Result, ensure};
use glob::Pattern;

use crate::summary::{Case, Suite as Told, Summary};
use crate::tap::{Test, WHOLE};

/// How much of the kernel's command line, which has 2048 bytes on x86, patterns may take.
const ROOM: usize = 1024;
/// What is before them there.
const TESTS: &str = "TESTS=\"";

/// A suite, or some of its tests.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pick {
    suite: String,
    tests: Option<Pattern>,
}

/// Those to run; without any, all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picks(Vec<Pick>);

impl Picks {
    /// Of `suite` and `suite:test*`.
    pub fn of(words: &[String]) -> Result<Self> {
        let picks: Result<Vec<Pick>> = words.iter().map(|word| pick(word)).collect();
        let picks = Self(picks?);
        let length = picks.environment().map_or(0, |tests| tests.len());
        ensure!(
            length <= ROOM,
            "T= is too long for the kernel's command line: {length} bytes, and {ROOM} is the most"
        );
        Ok(picks)
    }

    /// What programs were told to run by these words of a kernel's command line.
    pub fn on(command_line: &str) -> Result<Self> {
        let tests = command_line
            .split_once(TESTS)
            .and_then(|(_, rest)| rest.split_once('"'));
        let words = tests.map_or("", |(tests, _)| tests).split_whitespace();
        Self::of(&words.map(str::to_owned).collect::<Vec<_>>())
    }

    /// `TESTS`, as the kernel's command line has it, if a program is to run a part of its tests.
    pub fn to_command_line(&self) -> Option<String> {
        Some(format!("{TESTS}{}\"", self.environment()?))
    }

    /// What failed in an earlier run: of these programs those tests, all of them if something was
    /// wrong with a program as a whole, and all programs if something was with the VM.
    pub fn failed_in(summary: &Summary, programs: &[String]) -> Self {
        let mut picks = Vec::new();
        for suite in summary.suites.iter().filter(|suite| suite.place == "vm") {
            let failed: Vec<&Case> = suite.failed().collect();
            if failed.is_empty() {
                continue;
            }
            if !programs.contains(&suite.name) {
                return Self(programs.iter().map(|name| whole(name)).collect());
            }
            match failed.iter().any(|case| case.complaint) {
                true => picks.push(whole(&suite.name)),
                false => picks.extend(failed.iter().map(|case| only(suite, case))),
            }
        }
        let mut picks = Self(picks);
        if picks.environment().is_some_and(|tests| tests.len() > ROOM) {
            picks.0.iter_mut().for_each(|pick| pick.tests = None);
        }
        picks
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The suites, each once.
    pub fn suites(&self) -> Vec<String> {
        let mut suites: Vec<String> = self.0.iter().map(|pick| pick.suite.clone()).collect();
        suites.sort();
        suites.dedup();
        suites
    }

    /// Whether all tests of a suite are to run, if any.
    pub fn has_all(&self, suite: &str) -> bool {
        self.patterns(suite).is_empty()
    }

    /// Whether one of these is a test that was not asked for.
    pub fn ran_others(&self, suite: &str, tests: &[Test]) -> bool {
        let patterns = self.patterns(suite);
        let is_asked_for = |test: &Test| {
            let name = test.name.split(" / ").next().unwrap_or_default();
            patterns
                .iter()
                .any(|tests| tests.matches(name) || tests.matches(&test.name))
        };
        !patterns.is_empty()
            && tests
                .iter()
                .any(|test| !test.complaint && test.name != WHOLE && !is_asked_for(test))
    }

    /// The patterns for a suite; none if all of it is to run.
    fn patterns(&self, suite: &str) -> Vec<&Pattern> {
        let picks = self.0.iter().filter(|pick| pick.suite == suite);
        let patterns: Option<Vec<&Pattern>> = picks.map(|pick| pick.tests.as_ref()).collect();
        patterns.unwrap_or_default()
    }

    fn environment(&self) -> Option<String> {
        let words = self.0.iter().filter(|pick| !self.has_all(&pick.suite));
        let words =
            words.filter_map(|pick| Some(format!("{}:{}", pick.suite, pick.tests.as_ref()?)));
        let words: Vec<String> = words.collect();
        (!words.is_empty()).then(|| words.join(" "))
    }
}

fn pick(word: &str) -> Result<Pick> {
    let Some((suite, tests)) = word.split_once(':') else {
        return Ok(whole(word));
    };
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\');
    ensure!(
        !tests.is_empty() && tests.chars().all(fits),
        "T={word}: expected suite:test*, with ? for whatever is no letter"
    );
    let pattern = Pattern::new(tests).with_context(|| format!("T={word}: that is no glob"))?;
    Ok(Pick {
        suite: suite.to_owned(),
        tests: Some(pattern),
    })
}

fn whole(suite: &str) -> Pick {
    Pick {
        suite: suite.to_owned(),
        tests: None,
    }
}

/// Just this test; of one with subtests, the test that they belong to.
fn only(suite: &Told, case: &Case) -> Pick {
    let (name, rest) = case
        .name
        .split_once(" / ")
        .map_or((&case.name[..], ""), |(name, _)| (name, "*"));
    let plain = |c: char| match c {
        c if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ',' | '/') => c,
        _ => '?',
    };
    let tests: String = name.chars().map(plain).chain(rest.chars()).collect();
    Pick {
        suite: suite.name.clone(),
        tests: Some(Pattern::new(&tests).expect("question marks and asterisks are fine")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::Verdict;
    use crate::tap::Outcome;

    fn picks(words: &[&str]) -> Picks {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        Picks::of(&words).expect("they are right")
    }

    #[test]
    fn a_word_is_a_suite_or_tests_of_one() {
        let picks = picks(&["unload", "echo:a?reply*", "echo:b", "ids:*", "ids"]);
        assert_eq!(picks.suites(), ["echo", "ids", "unload"]);
        assert!(picks.has_all("unload") && !picks.has_all("echo"));
        // All of it, and some of it, is all of it.
        assert!(picks.has_all("ids"));
        assert_eq!(picks.environment().as_deref(), Some("echo:a?reply* echo:b"));
    }

    #[test]
    fn all_is_nothing_to_say() {
        assert_eq!(picks(&["unload", "echo"]).environment(), None);
        assert!(picks(&[]).has_all("echo"));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for word in ["echo:", "echo:a b", "echo:\"", "echo:ä", "echo:[a"] {
            Picks::of(&[word.to_owned()]).expect_err(word);
        }
        Picks::of(&[format!("echo:{}", "a".repeat(ROOM))]).expect_err("too long");
    }

    #[test]
    fn who_runs_all_is_found_out() {
        let tests = [
            Test::new("a reply comes", Outcome::Passed),
            Test::new("none comes", Outcome::Passed),
        ];
        assert!(picks(&["echo:a?reply*"]).ran_others("echo", &tests));
        assert!(!picks(&["echo:*comes"]).ran_others("echo", &tests));
        assert!(!picks(&["echo"]).ran_others("echo", &tests));
        let subtests = [Test::new("a / b", Outcome::Passed)];
        assert!(!picks(&["kunit:a"]).ran_others("kunit", &subtests));
    }

    fn failed(suites: &[(&str, &[Case])]) -> Picks {
        let mut summary = Summary::default();
        for (name, cases) in suites {
            summary.add(Told {
                place: "vm".to_owned(),
                name: (*name).to_owned(),
                tests: cases.to_vec(),
                ..Told::default()
            });
        }
        Picks::failed_in(&summary, &["echo", "ids", "kunit"].map(String::from))
    }

    #[test]
    fn what_failed_runs_again() {
        let failed = failed(&[
            (
                "echo",
                &[
                    Case::new("a `reply` comes", Verdict::Failed),
                    Case::new("another", Verdict::Passed),
                ],
            ),
            ("ids", &[Case::new("x", Verdict::Skipped)]),
            ("kunit", &[Case::new("all / slot / x", Verdict::Failed)]),
        ]);
        assert_eq!(failed, picks(&["echo:a??reply??comes", "kunit:all*"]));
    }

    #[test]
    fn a_program_that_failed_as_a_whole_runs_as_a_whole() {
        let complaint = Case {
            complaint: true,
            ..Case::new("it did not end", Verdict::Failed)
        };
        let failed = failed(&[("echo", &[Case::new("a", Verdict::Failed), complaint])]);
        assert_eq!(failed, picks(&["echo"]));
    }

    #[test]
    fn a_vm_that_failed_runs_all() {
        let failed = failed(&[("the VM itself", &[Case::new("it hung", Verdict::Failed)])]);
        assert_eq!(failed.suites(), ["echo", "ids", "kunit"]);
    }

    #[test]
    fn too_many_that_failed_are_whole_suites() {
        let cases = vec![Case::new(&"a".repeat(100), Verdict::Failed); 20];
        assert_eq!(failed(&[("echo", &cases)]).environment(), None);
    }
}
