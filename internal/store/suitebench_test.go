package store

import (
	"context"
	"testing"

	storagetesting "k8s.io/apiserver/pkg/storage/testing"
)

// Kubernetes' own benchmarks for a storage, small enough for two cores.

func BenchmarkSuiteWriteThroughput(b *testing.B) {
	o := benchStore(b, "file")
	data := storagetesting.PrepareBenchmarkData(10, 100, 50)
	storagetesting.RunBenchmarkWriteThroughput(context.Background(), b, o, data, false, nil)
}

func BenchmarkSuiteList(b *testing.B) {
	o := benchStore(b, "memory")
	data := storagetesting.PrepareBenchmarkData(50, 60, 50)
	if err := storagetesting.PrecreateBenchmarkPods(context.Background(), o, data); err != nil {
		b.Fatal(err)
	}
	storagetesting.RunBenchmarkStoreList(context.Background(), b, o, data, false)
}

func BenchmarkSuiteStats(b *testing.B) {
	storagetesting.RunBenchmarkStoreStats(context.Background(), b, benchStore(b, "memory"))
}
