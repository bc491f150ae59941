// SPDX-License-Identifier: GPL-2.0
/*
 * samples/kv/cn_kv.rs in C: what its lines are compared with.
 *
 * A request is "get KEY", "set KEY VALUE" or "del KEY", as bytes; the reply says how it ended, and
 * has the value. Anyone may ask; changing something takes CAP_NET_ADMIN. Each change is broadcast as
 * "set KEY" or "del KEY", and every second there is a sign of life, "alive".
 *
 * Unlike the Rust one it must not be unloaded while requests come: cn_del_callback() does not wait
 * for a callback that runs.
 */

#include <linux/connector.h>
#include <linux/debugfs.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/user_namespace.h>
#include <linux/workqueue.h>

/* Up to 32, so that the idx is the number of a group; and even, so that listening takes CAP_NET_ADMIN. */
static const struct cb_id id = { 20, 2 };

/* There is nothing that clients could make grow without bound. */
#define MAX_ENTRIES 256

struct entry {
	struct list_head list;
	size_t key_len;
	size_t value_len;
	u8 *key;
	u8 *value;
};

static LIST_HEAD(entries);
static unsigned int count;
static DEFINE_MUTEX(entries_lock);

static u32 next_seq;
static DEFINE_SPINLOCK(seq_lock);

static struct dentry *dir;

static void beat(struct work_struct *work);
static DECLARE_DELAYED_WORK(heartbeat, beat);

/* Sends to the id's own group, in the order of the numbers. */
static void broadcast(const void *data, size_t len)
{
	struct cn_msg *msg = kzalloc(sizeof(*msg) + len, GFP_KERNEL);

	if (!msg)
		return;
	msg->id = id;
	msg->len = len;
	memcpy(msg->data, data, len);
	spin_lock_bh(&seq_lock);
	msg->seq = next_seq++;
	/* That nobody listens is no error. */
	cn_netlink_send(msg, 0, id.idx, GFP_ATOMIC);
	spin_unlock_bh(&seq_lock);
	kfree(msg);
}

static void beat(struct work_struct *work)
{
	broadcast("alive", 5);
	schedule_delayed_work(&heartbeat, HZ);
}

static struct entry *find(const u8 *key, size_t len)
{
	struct entry *entry;

	list_for_each_entry(entry, &entries, list)
		if (entry->key_len == len && !memcmp(entry->key, key, len))
			return entry;
	return NULL;
}

static void remove(struct entry *entry)
{
	list_del(&entry->list);
	kfree(entry->key);
	kfree(entry->value);
	kfree(entry);
	count--;
}

static int set(struct entry *entry, const u8 *key, size_t key_len, const u8 *value, size_t len)
{
	u8 *copy = kmemdup(value, len, GFP_KERNEL);

	if (!copy)
		return -ENOMEM;
	if (!entry) {
		if (count == MAX_ENTRIES) {
			kfree(copy);
			return -ENOSPC;
		}
		entry = kzalloc(sizeof(*entry), GFP_KERNEL);
		if (!entry) {
			kfree(copy);
			return -ENOMEM;
		}
		entry->key = kmemdup(key, key_len, GFP_KERNEL);
		if (!entry->key) {
			kfree(entry);
			kfree(copy);
			return -ENOMEM;
		}
		entry->key_len = key_len;
		list_add_tail(&entry->list, &entries);
		count++;
	}
	kfree(entry->value);
	entry->value = copy;
	entry->value_len = len;
	return 0;
}

/* Returns the entry that was asked for in *found. */
static int carry_out(struct cn_msg *msg, struct netlink_skb_parms *nsp, struct entry **found)
{
	const u8 *key = msg->data + 4, *end = msg->data + msg->len, *value;
	struct entry *entry;
	size_t key_len;
	int ret = 0;

	if (msg->len < 4 || msg->data[3] != ' ')
		return -EINVAL;
	value = memchr(key, ' ', end - key);
	key_len = (value ?: end) - key;
	entry = find(key, key_len);
	if (!memcmp(msg->data, "get", 3)) {
		if (value)
			return -EINVAL;
		*found = entry;
		return entry ? 0 : -ENOENT;
	}
	if (!__netlink_ns_capable(nsp, &init_user_ns, CAP_NET_ADMIN))
		return -EPERM;
	if (!memcmp(msg->data, "del", 3) && !value) {
		if (!entry)
			return -ENOENT;
		remove(entry);
	} else if (!memcmp(msg->data, "set", 3) && value) {
		ret = set(entry, key, key_len, value + 1, end - value - 1);
	} else {
		return -EINVAL;
	}
	if (!ret)
		broadcast(msg->data, 4 + key_len);
	return ret;
}

static void callback(struct cn_msg *msg, struct netlink_skb_parms *nsp)
{
	struct entry *found = NULL;
	struct cn_msg *reply;
	size_t len;
	s32 status;

	mutex_lock(&entries_lock);
	status = carry_out(msg, nsp, &found);
	len = sizeof(status) + (found ? found->value_len : 0);
	reply = kzalloc(sizeof(*reply) + len, GFP_KERNEL);
	if (reply) {
		*reply = *msg;
		reply->ack++;
		reply->len = len;
		memcpy(reply->data, &status, sizeof(status));
		if (found)
			memcpy(reply->data + sizeof(status), found->value, found->value_len);
		cn_netlink_send(reply, nsp->portid, 0, GFP_NOWAIT);
		kfree(reply);
	}
	mutex_unlock(&entries_lock);
}

static int stats_show(struct seq_file *file, void *unused)
{
	mutex_lock(&entries_lock);
	seq_printf(file, "entries %u\n", count);
	mutex_unlock(&entries_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

static int __init c_kv_init(void)
{
	int ret = cn_add_callback(&id, "c_kv", callback);

	if (ret)
		return ret;
	dir = debugfs_create_dir("c_kv", NULL);
	debugfs_create_file("stats", 0400, dir, NULL, &stats_fops);
	schedule_delayed_work(&heartbeat, HZ);
	return 0;
}

static void __exit c_kv_exit(void)
{
	struct entry *entry, *next;

	cancel_delayed_work_sync(&heartbeat);
	debugfs_remove(dir);
	cn_del_callback(&id);
	list_for_each_entry_safe(entry, next, &entries, list)
		remove(entry);
}

module_init(c_kv_init);
module_exit(c_kv_exit);
MODULE_DESCRIPTION("Benchmark peer: a store of keys and values on the connector, in C");
MODULE_LICENSE("GPL");
