// SPDX-License-Identifier: GPL-2.0

//! JUnit's XML, which CI systems read: a `testsuite` for every suite, a `testcase` for every test,
//! with `failure` or `skipped` in it.

use std::io::{self, Write};

use quick_xml::Writer;
use quick_xml::events::BytesText;

use crate::summary::{Case, Suite, Summary, Verdict};
use crate::tap::Count;

/// Writes the document.
pub fn write(to: &mut impl Write, summary: &Summary) -> io::Result<()> {
    to.write_all(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")?;
    let mut xml = Writer::new_with_indent(&mut *to, b' ', 2);
    let suites = &summary.suites;
    let attributes = attributes("rust_connector", summary.count, Some(summary.seconds));
    xml.create_element("testsuites")
        .with_attributes(attributes.borrowed())
        .write_inner_content(|xml| suites.iter().try_for_each(|suite| one_suite(xml, suite)))?;
    to.write_all(b"\n")
}

fn one_suite<W: Write>(xml: &mut Writer<W>, suite: &Suite) -> io::Result<()> {
    let name = full_name(suite);
    xml.create_element("testsuite")
        .with_attributes(attributes(&name, suite.count, suite.seconds).borrowed())
        .write_inner_content(|xml| {
            suite
                .tests
                .iter()
                .try_for_each(|test| one_test(xml, &name, test))
        })?;
    Ok(())
}

fn one_test<W: Write>(xml: &mut Writer<W>, suite: &str, test: &Case) -> io::Result<()> {
    let name = legal(&test.name);
    let mut case = xml
        .create_element("testcase")
        .with_attributes([("classname", suite), ("name", &name)]);
    if let Some(seconds) = test.seconds {
        case = case.with_attribute(("time", &format!("{seconds:.3}")[..]));
    }
    match test.outcome {
        Verdict::Passed => case.write_empty()?,
        Verdict::Skipped => case.write_inner_content(|xml| {
            xml.create_element("skipped")
                .with_attribute(("message", &legal(test.reason.as_deref().unwrap_or(""))[..]))
                .write_empty()?;
            Ok::<(), io::Error>(())
        })?,
        Verdict::Failed => case.write_inner_content(|xml| {
            xml.create_element("failure")
                .with_attribute(("message", &name[..]))
                .write_text_content(BytesText::new(&legal(&test.log.join("\n"))))?;
            Ok::<(), io::Error>(())
        })?,
    };
    Ok(())
}

/// What a suite and all of them have in common.
struct Attributes([(&'static str, String); 5]);

impl Attributes {
    fn borrowed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (*name, &value[..]))
    }
}

fn attributes(name: &str, count: Count, seconds: Option<f64>) -> Attributes {
    let Count {
        passed,
        failed,
        skipped,
    } = count;
    Attributes([
        ("name", legal(name)),
        ("tests", (passed + failed + skipped).to_string()),
        ("failures", failed.to_string()),
        ("skipped", skipped.to_string()),
        ("time", format!("{:.3}", seconds.unwrap_or_default())),
    ])
}

/// `vm.echo`, `debug.vm.echo`.
fn full_name(suite: &Suite) -> String {
    let step = suite.step.iter().map(|step| format!("{step}."));
    legal(&format!(
        "{}{}.{}",
        step.collect::<String>(),
        suite.place,
        suite.full_name()
    ))
}

/// XML has no way to say most control characters, which programs may print all the same.
fn legal(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' | '\n' | '\r' => c,
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            '\u{fffe}' | '\u{ffff}' => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(name: &str, outcome: Verdict, log: &[&str]) -> Case {
        Case {
            log: log.iter().map(|&line| line.to_owned()).collect(),
            ..Case::new(name, outcome)
        }
    }

    fn count(passed: usize, failed: usize, skipped: usize) -> Count {
        Count {
            passed,
            failed,
            skipped,
        }
    }

    fn text(summary: &Summary) -> String {
        let mut bytes = Vec::new();
        write(&mut bytes, summary).expect("memory takes everything");
        String::from_utf8(bytes).expect("it is UTF-8")
    }

    fn document() -> String {
        let mut summary = Summary::default();
        summary.add(Suite {
            place: "host".to_owned(),
            name: "a <b> & \"c\"".to_owned(),
            count: count(1, 0, 0),
            tests: vec![Case {
                seconds: Some(0.25),
                ..case("one", Verdict::Passed, &[])
            }],
            seconds: Some(1.5),
            ..Suite::default()
        });
        summary.add(Suite {
            step: Some("debug".to_owned()),
            place: "vm".to_owned(),
            name: "echo".to_owned(),
            iteration: Some(3),
            count: count(0, 1, 1),
            tests: vec![
                Case {
                    reason: Some("no <KVM>".to_owned()),
                    ..case("two", Verdict::Skipped, &[])
                },
                case(
                    "three",
                    Verdict::Failed,
                    &["left: ]]> \u{1b}[31m\0", "\u{ffff} right & ä"],
                ),
            ],
            ..Suite::default()
        });
        text(&summary)
    }

    #[test]
    fn another_parser_reads_what_was_written() {
        let text = document();
        let xml = roxmltree::Document::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let root = xml.root_element();
        assert_eq!(root.tag_name().name(), "testsuites");
        let number = |what| root.attribute(what).map(str::to_owned);
        assert_eq!(number("tests").as_deref(), Some("3"));
        assert_eq!(number("failures").as_deref(), Some("1"));
        assert_eq!(number("skipped").as_deref(), Some("1"));
        let suites: Vec<_> = root.children().filter(|node| node.is_element()).collect();
        assert_eq!(suites.len(), 2);
        assert_eq!(suites[0].attribute("name"), Some("host.a <b> & \"c\""));
        assert_eq!(suites[0].attribute("time"), Some("1.500"));
        let time = |node: &roxmltree::Node<'_, '_>| node.attribute("time").map(str::to_owned);
        let first = |at: usize| suites[at].first_element_child().expect("there is a test");
        assert_eq!(time(&first(0)).as_deref(), Some("0.250"));
        assert_eq!(time(&first(1)), None);
        assert_eq!(suites[1].attribute("name"), Some("debug.vm.echo #3"));
    }

    #[test]
    fn failures_and_skips_are_told_with_their_words() {
        let text = document();
        let xml = roxmltree::Document::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let find = |name| xml.descendants().find(|node| node.has_tag_name(name));
        let failure = find("failure").expect("one failed");
        assert_eq!(
            failure.parent().and_then(|n| n.attribute("name")),
            Some("three")
        );
        assert_eq!(
            failure.text(),
            Some("left: ]]> \u{fffd}[31m\u{fffd}\n\u{fffd} right & ä")
        );
        let skipped = find("skipped").expect("one was skipped");
        assert_eq!(skipped.attribute("message"), Some("no <KVM>"));
    }

    #[test]
    fn no_suite_at_all_is_a_document_too() {
        let text = text(&Summary::default());
        assert!(roxmltree::Document::parse(&text).is_ok(), "{text}");
    }
}
