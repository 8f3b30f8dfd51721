package disk

import (
	"maps"
	"slices"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// requests are what nats-server asks of a file system, and no more: no links, no extended attributes, no mmap. Files are
// opened for direct I/O, so that the kernel keeps nothing back.
type requests struct {
	fuse.RawFileSystem // refuses the rest
	*Disk
}

// at returns a node. The lock must be held.
func (d *Disk) at(number uint64) (*node, fuse.Status) {
	n := d.nodes[number]
	if n == nil {
		return nil, fuse.ENOENT
	}
	return n, fuse.OK
}

// in calls a function with a node, under the lock.
func (d *Disk) in(number uint64, do func(*node) fuse.Status) fuse.Status {
	if status := d.enter(); !status.Ok() {
		return status
	}
	defer d.mu.Unlock()
	n, status := d.at(number)
	if !status.Ok() {
		return status
	}
	return do(n)
}

func (n *node) attr(out *fuse.Attr) {
	*out = fuse.Attr{Ino: n.number, Mode: n.mode, Nlink: 1, Size: uint64(len(n.data)), Blocks: uint64(len(n.data)+511) / 512, Blksize: 4096}
	out.SetTimes(&n.time, &n.time, &n.time)
}

func (n *node) entry(out *fuse.EntryOut) {
	out.NodeId, out.Generation = n.number, 1
	n.attr(&out.Attr)
}

// Lookup implements fuse.RawFileSystem, as all that follow.
func (d requests) Lookup(_ <-chan struct{}, header *fuse.InHeader, name string, out *fuse.EntryOut) fuse.Status {
	return d.in(header.NodeId, func(n *node) fuse.Status {
		child := n.names[name]
		if child == nil {
			return fuse.ENOENT
		}
		child.entry(out)
		return fuse.OK
	})
}

func (d requests) GetAttr(_ <-chan struct{}, in *fuse.GetAttrIn, out *fuse.AttrOut) fuse.Status {
	return d.in(in.NodeId, func(n *node) fuse.Status {
		n.attr(&out.Attr)
		return fuse.OK
	})
}

func (d requests) SetAttr(_ <-chan struct{}, in *fuse.SetAttrIn, out *fuse.AttrOut) fuse.Status {
	return d.in(in.NodeId, func(n *node) fuse.Status {
		if in.Valid&fuse.FATTR_SIZE != 0 {
			n.resize(int(in.Size))
		}
		if in.Valid&fuse.FATTR_MODE != 0 {
			n.mode = n.mode&syscall.S_IFMT | in.Mode&^syscall.S_IFMT
		}
		n.time = time.Now()
		n.attr(&out.Attr)
		return fuse.OK
	})
}

func (d requests) Mkdir(_ <-chan struct{}, in *fuse.MkdirIn, name string, out *fuse.EntryOut) fuse.Status {
	return d.make(in.NodeId, name, syscall.S_IFDIR|in.Mode, out)
}

func (d requests) Create(_ <-chan struct{}, in *fuse.CreateIn, name string, out *fuse.CreateOut) fuse.Status {
	out.OpenFlags = fuse.FOPEN_DIRECT_IO
	return d.make(in.NodeId, name, syscall.S_IFREG|in.Mode&^syscall.S_IFMT, &out.EntryOut)
}

func (d *Disk) make(parent uint64, name string, mode uint32, out *fuse.EntryOut) fuse.Status {
	return d.in(parent, func(n *node) fuse.Status {
		if n.names[name] != nil {
			return fuse.Status(syscall.EEXIST)
		}
		child := d.newNode(mode)
		n.place(name, child)
		child.entry(out)
		return fuse.OK
	})
}

// place gives a node a name, in the place of whatever has it.
func (n *node) place(name string, child *node) {
	n.remove(name)
	n.names[name], child.parent, child.name = child, n, name
}

func (n *node) remove(name string) {
	if gone := n.names[name]; gone != nil {
		gone.parent = nil
		delete(n.names, name)
	}
}

func (d requests) Unlink(_ <-chan struct{}, header *fuse.InHeader, name string) fuse.Status {
	return d.in(header.NodeId, func(n *node) fuse.Status {
		if n.names[name] == nil {
			return fuse.ENOENT
		}
		n.remove(name)
		return fuse.OK
	})
}

func (d requests) Rmdir(_ <-chan struct{}, header *fuse.InHeader, name string) fuse.Status {
	return d.in(header.NodeId, func(n *node) fuse.Status {
		switch child := n.names[name]; {
		case child == nil:
			return fuse.ENOENT
		case len(child.names) > 0:
			return fuse.Status(syscall.ENOTEMPTY)
		}
		n.remove(name)
		return fuse.OK
	})
}

func (d requests) Rename(_ <-chan struct{}, in *fuse.RenameIn, oldName, newName string) fuse.Status {
	return d.in(in.NodeId, func(from *node) fuse.Status {
		to, status := d.at(in.Newdir)
		child := from.names[oldName]
		switch {
		case !status.Ok():
			return status
		case child == nil:
			return fuse.ENOENT
		case in.Flags != 0:
			return fuse.EINVAL
		}
		if existing := to.names[newName]; existing != nil && len(existing.names) > 0 {
			return fuse.Status(syscall.ENOTEMPTY)
		}
		delete(from.names, oldName)
		to.place(newName, child)
		return fuse.OK
	})
}

func (d requests) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	return d.in(in.NodeId, func(n *node) fuse.Status {
		if in.Flags&syscall.O_TRUNC != 0 {
			n.resize(0)
		}
		out.OpenFlags = fuse.FOPEN_DIRECT_IO
		return fuse.OK
	})
}

func (d requests) Read(_ <-chan struct{}, in *fuse.ReadIn, buffer []byte) (result fuse.ReadResult, status fuse.Status) {
	status = d.in(in.NodeId, func(n *node) fuse.Status {
		from := min(int(in.Offset), len(n.data))
		to := min(from+len(buffer), len(n.data))
		result = fuse.ReadResultData(slices.Clone(n.data[from:to]))
		return fuse.OK
	})
	return result, status
}

func (d requests) Write(_ <-chan struct{}, in *fuse.WriteIn, data []byte) (written uint32, status fuse.Status) {
	status = d.in(in.NodeId, func(n *node) fuse.Status {
		at := int(in.Offset)
		if in.Flags&syscall.O_APPEND != 0 {
			at = len(n.data)
		}
		n.write(data, at)
		n.time = time.Now()
		return fuse.OK
	})
	if status.Ok() && in.Flags&syscall.O_DSYNC != 0 { // O_SYNC has this bit too
		status = d.sync(in.NodeId, (*node).sync)
	}
	return uint32(len(data)), status
}

func (d requests) Fsync(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return d.sync(in.NodeId, (*node).sync)
}

func (d requests) FsyncDir(_ <-chan struct{}, in *fuse.FsyncIn) fuse.Status {
	return d.sync(in.NodeId, (*node).syncNames)
}

func (d *Disk) sync(number uint64, do func(*node)) fuse.Status {
	time.Sleep(d.syncTime)
	return d.in(number, func(n *node) fuse.Status {
		do(n)
		d.syncs++
		return fuse.OK
	})
}

// Flush comes with each close; it syncs nothing.
func (d requests) Flush(<-chan struct{}, *fuse.FlushIn) fuse.Status { return fuse.OK }

func (d requests) OpenDir(_ <-chan struct{}, in *fuse.OpenIn, _ *fuse.OpenOut) fuse.Status {
	return d.in(in.NodeId, func(*node) fuse.Status { return fuse.OK })
}

func (d requests) ReadDir(_ <-chan struct{}, in *fuse.ReadIn, out *fuse.DirEntryList) fuse.Status {
	return d.in(in.NodeId, func(n *node) fuse.Status {
		names := slices.Sorted(maps.Keys(n.names))
		for i := int(in.Offset); i < len(names); i++ {
			child := n.names[names[i]]
			if !out.AddDirEntry(fuse.DirEntry{Name: names[i], Mode: child.mode, Ino: child.number, Off: uint64(i + 1)}) {
				break
			}
		}
		return fuse.OK
	})
}

// size of the disk, for programs that ask before they write.
const size, blockSize = 8 << 30, 4096

func (d requests) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	*out = fuse.StatfsOut{Blocks: size / blockSize, Bfree: size / blockSize, Bavail: size / blockSize, Files: 1 << 20, Ffree: 1 << 20,
		Bsize: blockSize, Frsize: blockSize, NameLen: 255}
	return fuse.OK
}
