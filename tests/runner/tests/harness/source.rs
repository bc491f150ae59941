// SPDX-License-Identifier: GPL-2.0

//! Kernel sources that come over the network.

use std::{fs, path::Path};

use crate::machine::{assert_says, failure, folder, functions, success, write};

/// Verifies a list of sums in a folder of that name; by the key at `key`, if any. `recorded` has a key
/// that was made for this and thrown away, and what it signed.
fn verify(name: &str, sums: &str, key: Option<&str>) -> std::process::Command {
    let scratch = folder(name);
    fs::write(scratch.join("sums.asc"), sums).unwrap();
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness/recorded");
    let key = key.map_or("$source_key".to_owned(), |key| {
        recorded.join(key).display().to_string()
    });
    let script = format!(
        "scratch=$1 cache=$1/cache source_key={key}
        mkdir -p $cache/log
        source_verify $1/sums.asc $1/sums
        cat $1/sums"
    );
    functions(&script, &[&scratch])
}

const SUMS: &str = include_str!("recorded/sums.asc");

#[test]
fn sums_count_as_far_as_they_are_signed() {
    let sums = format!("0000  linux-7.3.9.tar.xz\n{SUMS}0000  linux-7.3.10.tar.xz\n");
    let said = success(&mut verify("sums-signed", &sums, Some("key.asc")));
    assert_eq!(said, "1234  linux-7.3.4.tar.xz\n5678  linux-7.3.5.tar.xz\n");
}

#[test]
fn sums_that_kernel_org_did_not_sign_are_refused() {
    for (name, sums, key) in [
        ("sums-other", SUMS.to_owned(), None),
        (
            "sums-changed",
            SUMS.replace("5678", "5679"),
            Some("key.asc"),
        ),
        (
            "sums-plain",
            "1234  linux-7.3.4.tar.xz\n".to_owned(),
            Some("key.asc"),
        ),
    ] {
        let said = failure(&mut verify(name, &sums, key));
        assert_says(&said, "are not signed by kernel.org's key");
        assert!(!said.contains("linux-7.3.4"), "{said}");
    }
}

#[test]
fn the_key_is_the_one_that_kernel_org_names() {
    // A fingerprint is the SHA-1 of the packet that has the key, which comes first: 3 bytes that say how
    // long it is, and the rest.
    let said = success(&mut functions(
        "sed '1,/^$/d; /^[-=]/d' $source_key | base64 -d >$1/key
        length=$((0x$(od -An -tx1 -j1 -N2 $1/key | tr -d ' ') + 3))
        dd if=$1/key bs=1 count=$length 2>/dev/null | sha1sum | cut -c-40 | tr a-f A-F
        grep -o '[0-9A-F]\\{40\\}' scripts/lib/source.sh",
        &[&folder("key")],
    ));
    let key = "B8868C80BA62A1FFFAF5FDA9632D3A06589DA6B1";
    assert_eq!(said, format!("{key}\n{key}\n"));
}

#[test]
fn a_full_disk_is_noticed_before_anything_is_got_or_built() {
    let script = |free: u32, then: &str| {
        format!(
            "df() {{ printf 'Avail\\n{free}\\n'; }}
            cache=$1 kdir=$1/kernel kver=7.3.4 kernel_flavor=base kernel_id=7.3.4-base ksrc=$1
            inside=() cc_args=() rust_args=()
            run_logged() {{ touch $cache/has-begun; }}
            {then}"
        )
    };
    let place = folder("disk");
    for (free, then, what) in [
        (
            3999,
            "KERNEL=; check_source",
            "a kernel's source and build takes 4000",
        ),
        (1999, "build_kernel", "a kernel's build takes 2000"),
    ] {
        let said = failure(&mut functions(&script(free, then), &[&place]));
        assert_says(&said, &format!("has only {free} MB left, and {what}"));
        assert!(!place.join("has-begun").exists());
    }
    // What goes on has taken its part.
    write(place.join("kernel/.configured"), "");
    failure(&mut functions(&script(1, "build_kernel; false"), &[&place]));
    assert!(place.join("has-begun").exists());
}
