package store

import (
	"context"
	"errors"
	"testing"

	"k8s.io/apiserver/pkg/storage"
	storagetesting "k8s.io/apiserver/pkg/storage/testing"
)

// The tests below are Kubernetes' own suite for storage.Interface, called as pkg/storage/etcd3 calls it.
// docs/rationale/storage-suite.md lists what is adapted.

func TestSuiteCreate(t *testing.T) {
	ctx, o := testSetup(t)
	storagetesting.RunTestCreate(ctx, t, o, checkStored(o))
}

func TestSuiteDelete(t *testing.T) {
	t.Run("WithConflictAndMissingExpectedTransformOrDecodeError", func(t *testing.T) {
		codec := &failingCodec{Codec: podResource().Codec}
		ctx, o := testSetup(t, func(r *Resource) { r.Codec, r.UnsafeDelete = codec, true })
		storagetesting.RunTestDeleteWithConflictAndMissingExpectedTransformOrDecodeError(ctx, t, o, codec.fail.Store)
	})
	t.Run("WithConflictAndExpectedTransformError", func(t *testing.T) {
		transformer := &failingTransformer{Transformer: podResource().Transformer}
		ctx, o := testSetup(t, func(r *Resource) { r.Transformer, r.UnsafeDelete = transformer, true })
		storagetesting.RunTestDeleteExpectedTransformOrDecodeError(ctx, t, o, transformer.fail.Store)
	})
	t.Run("WithConflictAndExpectedDecodeError", func(t *testing.T) {
		codec := &failingCodec{Codec: podResource().Codec}
		ctx, o := testSetup(t, func(r *Resource) { r.Codec, r.UnsafeDelete = codec, true })
		storagetesting.RunTestDeleteExpectedTransformOrDecodeError(ctx, t, o, codec.fail.Store)
	})
}

// TestSuite runs every test that needs nothing but a storage.
func TestSuite(t *testing.T) {
	for name, run := range plainSuite() {
		t.Run(name, func(t *testing.T) {
			ctx, o := testSetup(t)
			run(ctx, t, o)
		})
	}
}

func TestSuiteList(t *testing.T) {
	ctx, o := testSetup(t)
	storagetesting.RunTestList(ctx, t, o, compaction(o.store), false, nil)
}

func TestSuiteConsistentList(t *testing.T) {
	ctx, o := testSetup(t)
	storagetesting.RunTestConsistentList(ctx, t, o, increaseRV(o.store), false, true, false)
}

func TestSuiteGetListNonRecursive(t *testing.T) {
	ctx, o := testSetup(t)
	storagetesting.RunTestGetListNonRecursive(ctx, t, increaseRV(o.store), o)
}

func TestSuiteGetListErrors(t *testing.T) {
	corrupt := &corruptError{cause: errors.New("bits flipped")}
	t.Run("WithErrorAggregation", func(t *testing.T) {
		ctx, o := testSetup(t, func(r *Resource) { r.UnsafeDelete = true })
		storagetesting.RunTestGetListWithErrorAggregation(ctx, t, &withTransformerOverride{Interface: o, of: o}, corrupt)
	})
	t.Run("WithoutErrorAggregation", func(t *testing.T) {
		ctx, o := testSetup(t)
		storagetesting.RunTestGetListWithoutErrorAggregation(ctx, t, &withTransformerOverride{Interface: o, of: o}, corrupt)
	})
}

func TestSuitePages(t *testing.T) {
	t.Run("ListContinuation", func(t *testing.T) {
		ctx, o := testSetup(t)
		storagetesting.RunTestListContinuation(ctx, t, o, checkReads(o))
	})
	t.Run("ListPaginationRareObject", func(t *testing.T) {
		ctx, o := testSetup(t)
		storagetesting.RunTestListPaginationRareObject(ctx, t, o, checkReads(o))
	})
	t.Run("ListContinuationWithFilter", func(t *testing.T) {
		ctx, o := testSetup(t)
		storagetesting.RunTestListContinuationWithFilter(ctx, t, o, checkReads(o))
	})
	t.Run("ListInconsistentContinuation", func(t *testing.T) {
		ctx, o := testSetup(t)
		storagetesting.RunTestListInconsistentContinuation(ctx, t, o, compaction(o.store))
	})
	t.Run("ListResourceVersionMatch", func(t *testing.T) {
		ctx, o := testSetup(t)
		storagetesting.RunTestListResourceVersionMatch(ctx, t, &withPrefixTransformer{o, o})
	})
}

func TestSuiteCompactRevision(t *testing.T) {
	ctx, o := testSetup(t)
	storagetesting.RunTestCompactRevision(ctx, t, o, increaseRV(o.store), compaction(o.store))
}

func TestSuiteGuaranteedUpdate(t *testing.T) {
	t.Run("GuaranteedUpdate", func(t *testing.T) {
		ctx, o := testSetup(t)
		storagetesting.RunTestGuaranteedUpdate(ctx, t, &withPrefixTransformer{o, o}, checkStored(o))
	})
	t.Run("ChecksStoredData", func(t *testing.T) {
		ctx, o := testSetup(t)
		storagetesting.RunTestGuaranteedUpdateChecksStoredData(ctx, t, &withPrefixTransformer{o, o})
	})
	t.Run("TransformationFailure", func(t *testing.T) {
		ctx, o := testSetup(t)
		storagetesting.RunTestTransformationFailure(ctx, t, &withPrefixTransformer{o, o})
	})
}

func TestSuiteStats(t *testing.T) {
	for name, sizes := range map[string]bool{"WithSizes": true, "WithoutSizes": false} {
		t.Run(name, func(t *testing.T) {
			ctx, o := testSetup(t)
			if sizes {
				if err := o.EnableResourceSizeEstimation(func(context.Context) ([]string, error) { return nil, nil }); err != nil {
					t.Fatal(err)
				}
			}
			storagetesting.RunTestStats(ctx, t, o, o.res.Codec, o.transformer, sizes)
		})
	}
}

func TestSuiteWatch(t *testing.T) {
	t.Run("WatchFromZero", func(t *testing.T) {
		ctx, o := testSetup(t)
		storagetesting.RunTestWatchFromZero(ctx, t, o, compaction(o.store))
	})
	t.Run("WatchError", func(t *testing.T) {
		ctx, o := testSetup(t)
		storagetesting.RunTestWatchError(ctx, t, &withPrefixTransformer{o, o})
	})
	t.Run("ProgressNotify", func(t *testing.T) {
		ctx, o := testSetup(t)
		storagetesting.RunOptionalTestProgressNotify(ctx, t, o, increaseRV(o.store))
	})
	t.Run("WatchWithUnsafeDelete", func(t *testing.T) {
		ctx, o := testSetup(t, func(r *Resource) { r.UnsafeDelete = true })
		corrupt := &corruptError{cause: errors.New("bits flipped")}
		storagetesting.RunTestWatchWithUnsafeDelete(ctx, t, &withTransformerOverride{Interface: o, of: o}, corrupt)
	})
	t.Run("WatchDispatchBookmarkEvents", func(t *testing.T) {
		ctx, o := testSetup(t)
		storagetesting.RunTestWatchDispatchBookmarkEvents(ctx, t, o, false)
	})
	t.Run("WatchErrorIsBlockingFurtherEvents", func(t *testing.T) {
		ctx, o := testSetup(t)
		storagetesting.RunWatchErrorIsBlockingFurtherEvents(ctx, t, &withPrefixTransformer{o, o})
	})
}

// plainSuite is the part of the suite that is the same for every storage.
func plainSuite() map[string]func(context.Context, *testing.T, storage.Interface) {
	return map[string]func(context.Context, *testing.T, storage.Interface){
		"CreateWithTTL":                              storagetesting.RunTestCreateWithTTL,
		"CreateWithKeyExist":                         storagetesting.RunTestCreateWithKeyExist,
		"Get":                                        storagetesting.RunTestGet,
		"UnconditionalDelete":                        storagetesting.RunTestUnconditionalDelete,
		"ConditionalDelete":                          storagetesting.RunTestConditionalDelete,
		"DeleteWithSuggestion":                       storagetesting.RunTestDeleteWithSuggestion,
		"DeleteWithSuggestionAndConflict":            storagetesting.RunTestDeleteWithSuggestionAndConflict,
		"DeleteWithSuggestionOfDeletedObject":        storagetesting.RunTestDeleteWithSuggestionOfDeletedObject,
		"ValidateDeletionWithSuggestion":             storagetesting.RunTestValidateDeletionWithSuggestion,
		"ValidateDeletionWithOnlySuggestionValid":    storagetesting.RunTestValidateDeletionWithOnlySuggestionValid,
		"DeleteWithConflict":                         storagetesting.RunTestDeleteWithConflict,
		"PreconditionalDeleteWithSuggestion":         storagetesting.RunTestPreconditionalDeleteWithSuggestion,
		"PreconditionalDeleteWithOnlySuggestionPass": storagetesting.RunTestPreconditionalDeleteWithOnlySuggestionPass,
		"DeleteWithSuggestionAndMissingExpectedTransformOrDecodeError": func(ctx context.Context, t *testing.T, s storage.Interface) {
			storagetesting.RunTestDeleteWithSuggestionAndMissingExpectedTransformOrDecodeError(ctx, t, s)
		},
		"ListPaging":                             storagetesting.RunTestListPaging,
		"GetListRecursivePrefix":                 storagetesting.RunTestGetListRecursivePrefix,
		"KeySchema":                              storagetesting.RunTestKeySchema,
		"NamespaceScopedList":                    storagetesting.RunTestNamespaceScopedList,
		"GuaranteedUpdateWithTTL":                storagetesting.RunTestGuaranteedUpdateWithTTL,
		"GuaranteedUpdateWithConflict":           storagetesting.RunTestGuaranteedUpdateWithConflict,
		"GuaranteedUpdateWithSuggestionConflict": storagetesting.RunTestGuaranteedUpdateWithSuggestionAndConflict,
		"Watch":                                  storagetesting.RunTestWatch,
		"ClusterScopedWatch":                     storagetesting.RunTestClusterScopedWatch,
		"NamespaceScopedWatch":                   storagetesting.RunTestNamespaceScopedWatch,
		"DeleteTriggerWatch":                     storagetesting.RunTestDeleteTriggerWatch,
		"WatchFromNonZero":                       storagetesting.RunTestWatchFromNonZero,
		"DelayedWatchDelivery":                   storagetesting.RunTestDelayedWatchDelivery,
		"WatchContextCancel":                     storagetesting.RunTestWatchContextCancel,
		"WatcherTimeout":                         storagetesting.RunTestWatcherTimeout,
		"WatchDeleteEventObjectHaveLatestRV":     storagetesting.RunTestWatchDeleteEventObjectHaveLatestRV,
		"WatchInitializationSignal":              storagetesting.RunTestWatchInitializationSignal,
		"SendInitialEventsBackwardCompatibility": storagetesting.RunSendInitialEventsBackwardCompatibility,
		"WatchSemantics":                         storagetesting.RunWatchSemantics,
		"WatchSemanticInitialEventsExtended":     storagetesting.RunWatchSemanticInitialEventsExtended,
		"WatchListMatchSingle":                   storagetesting.RunWatchListMatchSingle,
	}
}
