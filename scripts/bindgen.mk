# SPDX-License-Identifier: GPL-2.0
#
# Running bindgen from kbuild, for Kbuild to include.
#
# bindgen parses C with libclang. Where GCC compiles the kernel, its flags must be told apart first
# into those that clang knows and those that it does not.

ifdef CONFIG_CC_IS_CLANG
connector_bindgen_c_flags = $(c_flags)
else
# What rust/Makefile takes out too, by what it is about: code generation that does not change how a
# structure lies in memory.
connector_bindgen_skip := \
	-mno-fp-ret-in-387 -mpreferred-stack-boundary=% -mskip-rax-setup -mrecord-mcount \
	-mindirect-branch=% -mindirect-branch-register -mindirect-branch-cs-prefix \
	-mfunction-return=% -mstack-protector-guard% -mgeneral-regs-only -mno-string \
	-mdirect-extern-access -mabi=lp64 -msign-return-address=% \
	-fconserve-stack -falign-jumps=% -falign-loops=% -fmin-function-alignment=% \
	-femit-struct-debug-baseonly -fno-allow-store-data-races -fno-reorder-blocks \
	-fno-ipa-cp-clone -fno-ipa-sra -fno-partial-inlining -fno-inline-functions-called-once \
	-fno-isolate-erroneous-paths-dereference -fno-stack-clash-protection \
	-fzero-call-used-regs=% -fzero-init-padding-bits=% -fstrict-flex-arrays=% \
	-fsanitize=bounds-strict -fasan-shadow-offset=% -fplugin-arg-% \
	-fdiagnostics-show-context -fdiagnostics-show-context=% --param=% --param asan-%

connector_bindgen_c_flags = $(filter-out $(connector_bindgen_skip),$(c_flags)) -w \
	--target=$(BINDGEN_TARGET)
BINDGEN_TARGET_x86 := x86_64-linux-gnu
BINDGEN_TARGET_arm64 := aarch64-linux-gnu
BINDGEN_TARGET := $(BINDGEN_TARGET_$(SRCARCH))
endif

# Without probes, what they are made of is not all declared.
connector_bindgen_probes := \
	--allowlist-type 'kprobe|kprobe_.*_handler_t|kprobe_opcode_t|arch_specific_insn' \
	--allowlist-type 'kretprobe|kretprobe_instance|kretprobe_handler_t|rethook_node|rethook' \
	--opaque-type 'rethook|arch_specific_insn' \
	--allowlist-function 'register_kretprobe|unregister_kretprobe'

connector_bindgen_items := \
	--no-recursive-allowlist \
	--allowlist-type 'cb_id|cn_msg|netlink_skb_parms|scm_creds|netlink_filter_fn|netlink_notify' \
	--allowlist-function 'cn_add_callback|cn_del_callback|cn_netlink_send_mult' \
	--allowlist-var 'CN_CBQ_NAMELEN' \
	--allowlist-function '__netlink_ns_capable|netlink_register_notifier|netlink_unregister_notifier' \
	--allowlist-function 'netlink_unicast|skb_put|connector_helper_.*' \
	--allowlist-type 'nlmsghdr' --allowlist-var 'NLMSG_DONE' \
	$(if $(CONFIG_KRETPROBES),$(connector_bindgen_probes)) \
	--allowlist-var 'init_user_ns|CAP_NET_ADMIN|CAP_SYS_ADMIN|CAP_LAST_CAP|RUST_CONST_HELPER_.*'

# What the core of our own takes beyond that.
ifneq ($(CONFIG_CONNECTOR),y)
connector_bindgen_items += \
	--allowlist-function 'netlink_has_listeners|netlink_broadcast_filtered|netlink_ack|__nlmsg_put' \
	--allowlist-function '__netlink_kernel_create|netlink_kernel_release' \
	--allowlist-type 'netlink_kernel_cfg|netlink_ext_ack' \
	--allowlist-var 'NL_CFG_F_NONROOT_RECV|NLM_F_ACK|CN_IDX_PROC' \
	--allowlist-function 'proc_create_single_data|proc_remove'
endif

quiet_cmd_connector_bindgen = BINDGEN $@
      cmd_connector_bindgen = \
	$(BINDGEN) $< $(connector_bindgen_items) --rust-target 1.85 --use-core \
		--no-layout-tests --no-doc-comments --no-debug '.*' \
		--ctypes-prefix kernel::ffi -o $@ -- \
		$(filter-out $(CC_FLAGS_LTO),$(connector_bindgen_c_flags)) \
		-fno-builtin -D__BINDGEN__ -DMODULE ; \
	sed -Ei 's/pub const RUST_CONST_HELPER_([a-zA-Z0-9_]*)/pub const \1/g' $@
