package natskeys

import (
	"strconv"
	"strings"
)

// enforcingSince is the release of nats-server since which a hub looks at what leaves send. An older one leaves that to the
// leaf, so that whoever has the credentials of a group and no ordinary leaf may send anything.
var enforcingSince = [3]int{2, 12, 7}

// Enforces says whether a hub of this version holds the rights of host groups itself.
func Enforces(version string) bool {
	numbers, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), "-")
	parts := strings.Split(numbers, ".")
	if len(parts) != len(enforcingSince) {
		return false
	}
	for i, part := range parts {
		n, err := strconv.Atoi(part)
		switch {
		case err != nil || n < 0:
			return false
		case n != enforcingSince[i]:
			return n > enforcingSince[i]
		}
	}
	return !strings.Contains(version, "-") // the last one before it may lack it
}
