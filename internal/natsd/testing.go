package natsd

// TB is what Run needs of a testing.TB; declared here so that no program links the testing package.
type TB interface {
	Helper()
	TempDir() string
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Run starts a server on a free port of 127.0.0.1 for a test, with its data in a temporary folder, and ends it with the
// test. Options that are set are kept; a Port of 0 means a free one.
func Run(t TB, o Options) *Server {
	t.Helper()
	if o.Port == 0 {
		o.Port = RandomPort
	}
	if o.StoreDir == "" {
		o.StoreDir = t.TempDir()
	}
	s, err := Start(o)
	if err != nil {
		t.Fatalf("start a NATS server for the test: %v", err)
	}
	t.Cleanup(s.Shutdown)
	return s
}
