// SPDX-License-Identifier: GPL-2.0

//! JUnit's XML, which CI systems read: a `testsuite` for every suite, a `testcase` for every test,
//! with `failure` or `skipped` in it.

use std::io::{self, Write};
use std::time::Duration;

use quick_xml::Writer;
use quick_xml::events::BytesText;

use crate::results::Suite;
use crate::tap::{Count, Outcome, Test};

/// Writes the document.
pub fn write(to: &mut impl Write, suites: &[Suite], took: Duration) -> io::Result<()> {
    let mut total = Count::default();
    for suite in suites {
        total.add(suite.count());
    }
    to.write_all(b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")?;
    let mut xml = Writer::new_with_indent(&mut *to, b' ', 2);
    xml.create_element("testsuites")
        .with_attributes(attributes("rust_connector", total, Some(took)).borrowed())
        .write_inner_content(|xml| suites.iter().try_for_each(|suite| one_suite(xml, suite)))?;
    to.write_all(b"\n")
}

fn one_suite<W: Write>(xml: &mut Writer<W>, suite: &Suite) -> io::Result<()> {
    let name = full_name(suite);
    xml.create_element("testsuite")
        .with_attributes(attributes(&name, suite.count(), suite.took).borrowed())
        .write_inner_content(|xml| {
            suite
                .tests
                .iter()
                .try_for_each(|test| one_test(xml, &name, test))
        })?;
    Ok(())
}

fn one_test<W: Write>(xml: &mut Writer<W>, suite: &str, test: &Test) -> io::Result<()> {
    let name = legal(&test.name);
    let case = xml
        .create_element("testcase")
        .with_attributes([("classname", suite), ("name", &name)]);
    match &test.outcome {
        Outcome::Passed => case.write_empty()?,
        Outcome::Skipped(reason) => case.write_inner_content(|xml| {
            xml.create_element("skipped")
                .with_attribute(("message", &legal(reason)[..]))
                .write_empty()?;
            Ok::<(), io::Error>(())
        })?,
        Outcome::Failed => case.write_inner_content(|xml| {
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

fn attributes(name: &str, count: Count, took: Option<Duration>) -> Attributes {
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
        (
            "time",
            format!("{:.3}", took.unwrap_or_default().as_secs_f64()),
        ),
    ])
}

fn full_name(suite: &Suite) -> String {
    legal(&format!("{}.{}", suite.place, suite.name))
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

    fn test(name: &str, outcome: Outcome, log: &[&str]) -> Test {
        Test {
            log: log.iter().map(|&line| line.to_owned()).collect(),
            ..Test::new(name, outcome)
        }
    }

    fn document() -> String {
        let suites = [
            Suite {
                place: "host",
                name: "a <b> & \"c\"".to_owned(),
                tests: vec![test("one", Outcome::Passed, &[])],
                took: Some(Duration::from_millis(1500)),
            },
            Suite {
                place: "vm",
                name: "echo".to_owned(),
                tests: vec![
                    test("two", Outcome::Skipped("no <KVM>".to_owned()), &[]),
                    test(
                        "three",
                        Outcome::Failed,
                        &["left: ]]> \u{1b}[31m\0", "\u{ffff} right & ä"],
                    ),
                ],
                took: None,
            },
        ];
        let mut bytes = Vec::new();
        write(&mut bytes, &suites, Duration::from_secs(2)).expect("memory takes everything");
        String::from_utf8(bytes).expect("it is UTF-8")
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
        let mut bytes = Vec::new();
        write(&mut bytes, &[], Duration::ZERO).expect("memory takes everything");
        let text = String::from_utf8(bytes).expect("it is UTF-8");
        assert!(roxmltree::Document::parse(&text).is_ok(), "{text}");
    }
}
