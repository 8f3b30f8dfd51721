package wadmapi

import "strings"

// shortMessage is what remains of a long message in a list that would not fit otherwise.
const shortMessage = 120

// shorten drops what a list can do without, so that a large lattice can be listed at all. Other replies stay.
func shorten(reply any) any {
	switch r := reply.(type) {
	case []summary:
		return shortenAll(r)
	case listReply:
		r.Models = shortenAll(r.Models)
		return r
	}
	return reply
}

func shortenAll(models []summary) []summary {
	out := make([]summary, len(models))
	for i, m := range models {
		m.DetailedStatus.Scalers = nil
		m.DetailedStatus.Status.Message = cut(m.DetailedStatus.Status.Message)
		m.StatusMessage = cut(m.StatusMessage)
		out[i] = m
	}
	return out
}

func cut(text string) string {
	if len(text) <= shortMessage {
		return text
	}
	return strings.ToValidUTF8(text[:shortMessage], "") + "…"
}
