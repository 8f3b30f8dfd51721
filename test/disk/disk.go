// Package disk is for tests: a file system in memory, over FUSE, that loses at a power cut what was not synced.
//
// The model, which is that of a journalling file system such as ext4 or xfs on a disk with a volatile cache:
//
//   - fsync and fdatasync of a file, and each write to a file that was opened with O_SYNC or O_DSYNC, make its content,
//     its size, its present name and the folders above it durable.
//   - fsync of a folder makes all names in it durable, and what is gone from it is gone. A rename is never seen half.
//   - Nothing else is durable: a file that was written and renamed without fsync may come back empty, an unlinked one
//     whole, and a truncation may be undone.
//   - A cut is one of two kinds. Cold: everything that was not made durable is lost. Warm: the system had written back
//     some of it on its own, so of each file that is not synced a random part of the unsynced range survives, from its
//     beginning on, and of each folder either the durable names or the newest ones.
//
// From the cut on no request is answered until LetGo: a process that is killed meanwhile never learns what became of it.
package disk

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// Disk is a mounted file system. It is safe for concurrent use.
type Disk struct {
	dir      string
	syncTime time.Duration
	server   *fuse.Server

	mu    sync.Mutex
	nodes map[uint64]*node
	last  uint64        // the newest node's number
	root  *node         // as programs see it
	off   chan struct{} // closed when a cut disk answers again, with errors; nil while there is power
	syncs int
}

// Mount mounts an empty disk, for which each sync takes a time, on a folder. A cut may come while a sync is under way, and
// then it has done nothing. An error means that the machine has no FUSE or refuses the mount.
func Mount(dir string, syncTime time.Duration) (*Disk, error) {
	d := &Disk{dir: dir, syncTime: syncTime}
	d.root = d.newNode(syscall.S_IFDIR | 0o755)
	return d, d.mount()
}

// mount serves the tree from root on.
func (d *Disk) mount() (err error) {
	d.server, err = fuse.NewServer(requests{fuse.NewDefaultRawFileSystem(), d}, d.dir, &fuse.MountOptions{
		Name: "trellis-test", DirectMountStrict: true, DisableXAttrs: true, DisableReadDirPlus: true, DisableSplice: true,
	})
	if err != nil {
		return fmt.Errorf("mount a FUSE file system on %s: %w", d.dir, err)
	}
	go d.server.Serve()
	return d.server.WaitMount()
}

// Unmount takes the disk away. Nobody may use it any more.
func (d *Disk) Unmount() error { return d.server.Unmount() }

// Cut ends the power: from now on nothing is done or answered.
func (d *Disk) Cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = make(chan struct{})
}

// LetGo answers what waits since the cut with errors, so that a killed process can go.
func (d *Disk) LetGo() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.off)
}

// Restore mounts what the cut has left. With chance the cut was a warm one. It says how many bytes were not synced.
func (d *Disk) Restore(chance *rand.Rand) (unsynced int, err error) {
	if err := d.server.Unmount(); err != nil {
		return 0, fmt.Errorf("unmount %s: %w", d.dir, err)
	}
	d.mu.Lock()
	for _, n := range d.nodes {
		if n.parent != nil {
			unsynced += n.to - n.from
		}
	}
	old := d.root
	d.nodes, d.last = nil, 0
	d.root = d.survivor(old, chance)
	d.off = nil
	d.mu.Unlock()
	return unsynced, d.mount()
}

// Syncs is the number of syncs so far.
func (d *Disk) Syncs() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.syncs
}

// enter takes the lock, or fails after a cut.
func (d *Disk) enter() fuse.Status {
	d.mu.Lock()
	off := d.off
	if off == nil {
		return fuse.OK
	}
	d.mu.Unlock()
	<-off
	return fuse.EIO
}

// node is a file or a folder: as it is, and as it would be after a cold cut.
type node struct {
	number uint64
	mode   uint32
	time   time.Time
	parent *node // of a name that is there; nil once unlinked
	name   string

	data, durable []byte
	from, to      int // the range of data that may differ from durable; empty if from == to
	resized       bool

	names, durableNames map[string]*node
}

func (d *Disk) newNode(mode uint32) *node {
	d.last++
	n := &node{number: d.last, mode: mode, time: time.Now()}
	if n.isDir() {
		n.names, n.durableNames = map[string]*node{}, map[string]*node{}
	}
	if d.nodes == nil {
		d.nodes = map[uint64]*node{}
	}
	d.nodes[n.number] = n
	return n
}

func (n *node) isDir() bool { return n.mode&syscall.S_IFMT == syscall.S_IFDIR }

func (n *node) write(data []byte, at int) {
	n.resize(max(len(n.data), at+len(data)))
	copy(n.data[at:], data)
	n.touch(at, at+len(data))
}

func (n *node) resize(size int) {
	if size == len(n.data) {
		return
	}
	n.resized = true
	if size < len(n.data) {
		clear(n.data[size:])
		n.data = n.data[:size]
		return
	}
	before := len(n.data)
	n.data = append(slices.Grow(n.data, size-before), make([]byte, size-before)...)
	n.touch(before, size)
}

func (n *node) touch(from, to int) {
	if n.from == n.to {
		n.from, n.to = from, to
	}
	n.from, n.to = min(n.from, from), max(n.to, to)
}

// sync makes a file durable, and its names up to the root.
func (n *node) sync() {
	n.durable = n.written(n.to)
	n.from, n.to, n.resized = 0, 0, false
	n.syncName()
}

// written is what the disk has of a file when the unsynced range was written back up to some byte.
func (n *node) written(upTo int) []byte {
	if n.from == n.to && !n.resized {
		return n.durable
	}
	size := min(len(n.data), max(len(n.durable), upTo))
	if upTo >= n.to {
		size = len(n.data)
	}
	out := append(n.durable[:min(size, len(n.durable))], make([]byte, max(0, size-len(n.durable)))...)
	if from, to := min(n.from, size), min(upTo, size); from < to {
		copy(out[from:to], n.data[from:to])
	}
	return out
}

// syncName makes the present name of a node durable in place of those it had, and the names above it.
func (n *node) syncName() {
	for at := n; at.parent != nil; at = at.parent {
		for name, other := range at.parent.durableNames {
			if other == at && name != at.name {
				delete(at.parent.durableNames, name)
			}
		}
		at.parent.durableNames[at.name] = at
	}
}

// syncNames makes the names in a folder durable.
func (n *node) syncNames() {
	n.durableNames = map[string]*node{}
	for name, child := range n.names {
		n.durableNames[name] = child
	}
	n.syncName()
}

// survivor copies what is left of a tree after a cut.
func (d *Disk) survivor(old *node, chance *rand.Rand) *node {
	now := d.newNode(old.mode)
	now.time = old.time
	if !old.isDir() {
		now.durable = old.durable
		if chance != nil {
			now.durable = old.written(old.from + chance.IntN(old.to-old.from+1))
		}
		now.data = slices.Clone(now.durable)
		return now
	}
	names := old.durableNames
	if chance != nil && chance.IntN(2) == 0 {
		names = old.names
	}
	for _, name := range slices.Sorted(maps.Keys(names)) { // in order, so that chance can be repeated
		child := d.survivor(names[name], chance)
		child.parent, child.name = now, name
		now.names[name], now.durableNames[name] = child, child
	}
	return now
}
