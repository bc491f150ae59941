// SPDX-License-Identifier: GPL-2.0

#include <linux/module.h>

#ifndef CONFIG_MODULES
__rust_helper int rust_helper_register_module_notifier(struct notifier_block *nb)
{
	return register_module_notifier(nb);
}

__rust_helper int rust_helper_unregister_module_notifier(struct notifier_block *nb)
{
	return unregister_module_notifier(nb);
}
#endif
