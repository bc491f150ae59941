// SPDX-License-Identifier: GPL-2.0
/*
 * A character device whose read(2) returns what the last write(2) on the same file wrote: the
 * least that an exchange of bytes with a module costs, without messages, addresses or queues.
 */

#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#define CHARDEV_MAX	16384

struct chardev_buffer {
	size_t len;
	u8 data[CHARDEV_MAX];
};

static int chardev_open(struct inode *inode, struct file *file)
{
	struct chardev_buffer *buffer = kmalloc(sizeof(*buffer), GFP_KERNEL);

	if (!buffer)
		return -ENOMEM;
	buffer->len = 0;
	file->private_data = buffer;
	return nonseekable_open(inode, file);
}

static int chardev_release(struct inode *inode, struct file *file)
{
	kfree(file->private_data);
	return 0;
}

static ssize_t chardev_write(struct file *file, const char __user *from, size_t len, loff_t *pos)
{
	struct chardev_buffer *buffer = file->private_data;

	if (len > sizeof(buffer->data))
		return -EMSGSIZE;
	buffer->len = 0;
	if (copy_from_user(buffer->data, from, len))
		return -EFAULT;
	buffer->len = len;
	return len;
}

static ssize_t chardev_read(struct file *file, char __user *to, size_t len, loff_t *pos)
{
	struct chardev_buffer *buffer = file->private_data;

	len = min(len, buffer->len);
	if (copy_to_user(to, buffer->data, len))
		return -EFAULT;
	return len;
}

/* No locking: the benchmark has one thread. */
static const struct file_operations fops = {
	.owner = THIS_MODULE,
	.open = chardev_open,
	.release = chardev_release,
	.write = chardev_write,
	.read = chardev_read,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "chardev_echo",
	.fops = &fops,
};

module_misc_device(device);
MODULE_DESCRIPTION("Benchmark peer: echo on a character device");
MODULE_LICENSE("GPL");
