# SPDX-License-Identifier: GPL-2.0
#
# sed -E: takes out what the patch that brings the KUnit suites adds to files of patches before it.

/^#\[cfg\(CONFIG_RUST_CONNECTOR_KUNIT_TEST\)\]$/{
	N
	/\npub.* use /{
		:use
		/;$/!{
			N
			buse
		}
		d
	}
}
