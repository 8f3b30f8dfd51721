package cli

import (
	"os"
	"runtime/debug"
)

// heapGrowth is by how much of what is in use the heap may grow between two collections, in percent. Go's own 100 doubles
// the memory of a process whose objects mostly stay; this costs some processor time while many are written.
const heapGrowth = 50

// saveMemory sets the pace of the garbage collector, unless the environment does.
func saveMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
}
