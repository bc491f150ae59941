// SPDX-License-Identifier: GPL-2.0

//! What one line of TAP or KTAP says, by itself: Documentation/dev-tools/ktap.rst in the kernel's
//! source. What it means among the others is for [`crate::tap`].

/// One line, understood.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// `KTAP version 1`: results follow.
    Version,
    /// `1..N`, and the reason if that says `# SKIP`.
    Plan(usize, Option<&'a str>),
    /// `ok 1 name # SKIP reason`.
    Result(Told<'a>),
    /// `Bail out!`, and why.
    BailOut(&'a str),
    /// Means to be a plan, and cannot be read.
    BadPlan,
    /// Anything else is output.
    Other,
}

/// A result line.
#[derive(Debug, PartialEq, Eq)]
pub struct Told<'a> {
    /// `ok`, not `not ok`.
    pub ok: bool,
    /// Its number; `None` if it has none, or one that cannot be read.
    pub number: Option<usize>,
    /// The description.
    pub name: &'a str,
    /// What it says besides, and why.
    pub directive: Option<(Directive, &'a str)>,
    /// There is a directive's word where it may or may not be meant as one.
    pub unclear: bool,
}

/// What is told beside `ok` and `not ok`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directive {
    /// It did not run.
    Skip,
    /// It is not expected to pass, yet.
    Todo,
    /// It is expected to fail.
    Xfail,
    /// It took too long.
    Timeout,
    /// It could not be run to its end.
    Error,
}

impl Directive {
    fn of(word: &str) -> Option<Self> {
        Some(match &word.to_ascii_uppercase()[..] {
            "SKIP" => Self::Skip,
            "TODO" => Self::Todo,
            "XFAIL" => Self::Xfail,
            "TIMEOUT" => Self::Timeout,
            "ERROR" => Self::Error,
            _ => return None,
        })
    }

    /// Words that people take for one.
    fn is_like(word: &str) -> bool {
        Self::of(word).is_some() || word.eq_ignore_ascii_case("SKIPPED")
    }

    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Skip => "SKIP",
            Self::Todo => "TODO",
            Self::Xfail => "XFAIL",
            Self::Timeout => "TIMEOUT",
            Self::Error => "ERROR",
        }
    }
}

/// Understands a line that has lost its indentation.
pub fn understand(line: &str) -> Line<'_> {
    if line.starts_with("TAP version ") || line.starts_with("KTAP version ") {
        return Line::Version;
    }
    if let Some(reason) = line.strip_prefix("Bail out!") {
        return Line::BailOut(reason.trim());
    }
    if let Some(rest) = line.strip_prefix("1..") {
        return plan(rest);
    }
    let (ok, rest) = if let Some(rest) = line.strip_prefix("not ok") {
        (false, rest)
    } else if let Some(rest) = line.strip_prefix("ok") {
        (true, rest)
    } else {
        return Line::Other;
    };
    if !rest.is_empty() && !rest.starts_with(' ') {
        return Line::Other; // "okay", "ok:"
    }
    let rest = rest.trim_start();
    let (first, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let number = first.parse().ok();
    let text = match number {
        Some(_) => after,
        None => rest,
    };
    let described = describe(text.trim());
    Line::Result(Told {
        ok,
        number,
        name: described.name.strip_prefix("- ").unwrap_or(described.name),
        directive: described.directive,
        unclear: described.unclear,
    })
}

/// What follows `1..`.
fn plan(rest: &str) -> Line<'_> {
    if !rest.starts_with(|c: char| c.is_ascii_digit()) {
        return Line::Other; // "1...": a progress of somebody's
    }
    let Described {
        name: number,
        directive,
        unclear,
    } = describe(rest.trim());
    match (number.parse(), directive, unclear) {
        (Ok(0), Some((Directive::Skip, reason)), false) => Line::Plan(0, Some(reason)),
        (Ok(number), None, false) => Line::Plan(number, None),
        _ => Line::BadPlan,
    }
}

struct Described<'a> {
    name: &'a str,
    directive: Option<(Directive, &'a str)>,
    unclear: bool,
}

/// Splits `name # DIRECTIVE reason`. The first `#` that stands by itself ends the name; a remark may
/// follow it instead. Elsewhere a `#` is part of the text, unless a directive's word comes after it:
/// some would read that as a directive and some would not.
fn describe(text: &str) -> Described<'_> {
    let mut described = Described {
        name: text,
        directive: None,
        unclear: false,
    };
    let mut ended = false;
    for (at, _) in text.match_indices('#') {
        let (before, after) = (&text[..at], &text[at + 1..]);
        let alone = (before.is_empty() || before.ends_with(char::is_whitespace))
            && (after.is_empty() || after.starts_with(char::is_whitespace));
        let after = after.trim_start();
        let end = after.find(|c: char| !c.is_ascii_alphanumeric());
        let (word, rest) = after.split_at(end.unwrap_or(after.len()));
        let separate = rest.is_empty() || rest.starts_with(char::is_whitespace);
        let directive = Directive::of(word).filter(|_| alone && separate && !ended);
        described.unclear |= directive.is_none() && Directive::is_like(word);
        if alone && !ended {
            ended = true;
            described.name = before.trim();
            described.directive = directive.map(|directive| (directive, rest.trim()));
        }
    }
    described
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> Told<'_> {
        match understand(line) {
            Line::Result(told) => told,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn a_hash_in_the_description_hides_no_directive() {
        let told = told("ok 1 issue #5 works # SKIP no such thing");
        assert_eq!(told.name, "issue #5 works");
        assert_eq!(told.directive, Some((Directive::Skip, "no such thing")));
        assert!(!told.unclear);
    }

    #[test]
    fn a_hash_may_be_in_the_description_alone() {
        let told = told("ok 1 issue #5 works");
        assert_eq!((told.name, told.directive), ("issue #5 works", None));
        assert!(!told.unclear);
    }

    #[test]
    fn a_directive_may_be_all_there_is() {
        for line in ["ok 1 # skip", "ok 1 # SKIP", "ok 1 - # SKIP"] {
            assert_eq!(told(line).directive, Some((Directive::Skip, "")), "{line}");
            assert!(!told(line).unclear, "{line}");
        }
    }

    #[test]
    fn what_may_or_may_not_be_a_directive_is_unclear() {
        for line in [
            "ok 1 a # SKIP: no such thing",
            "ok 1 a # SKIPPED no such thing",
            "ok 1 a #SKIP",
            "ok 1 a#skip",
            "ok 1 a \\# SKIP",
            "ok 1 a # rcode=0 # SKIP",
            "ok 1 a # SKIP # TODO",
            "ok 1 a # error=5",
        ] {
            assert!(told(line).unclear, "{line}");
        }
    }

    #[test]
    fn a_remark_is_no_directive() {
        for line in [
            "ok 1 check return code # rcode=0",
            "ok 1 check return code # errors: none",
            "ok 1 check return code #",
        ] {
            let told = told(line);
            assert_eq!((told.name, told.directive), ("check return code", None));
            assert!(!told.unclear, "{line}");
        }
    }

    #[test]
    fn a_number_is_a_number() {
        assert_eq!(told("ok 12 a").number, Some(12));
        for line in [
            "ok a",
            "ok 1a",
            "ok 99999999999999999999999 a",
            "ok -1 a",
            "ok",
        ] {
            assert_eq!(told(line).number, None, "{line}");
        }
        assert_eq!(understand("1..12"), Line::Plan(12, None));
        assert_eq!(understand("1..99999999999999999999999"), Line::BadPlan);
        assert_eq!(understand("1..2a"), Line::BadPlan);
        assert_eq!(understand("1...2"), Line::Other);
    }

    #[test]
    fn only_an_empty_plan_is_skipped() {
        assert_eq!(understand("1..0 # SKIP x y"), Line::Plan(0, Some("x y")));
        assert_eq!(understand("1..2 # SKIP x"), Line::BadPlan);
        assert_eq!(understand("1..0 # SKIPPED"), Line::BadPlan);
    }

    #[test]
    fn words_that_begin_like_results_are_output() {
        for line in ["okay then", "ok: fine", "notable", "not okay"] {
            assert_eq!(understand(line), Line::Other);
        }
    }
}
