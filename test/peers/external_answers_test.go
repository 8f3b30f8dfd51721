//go:build peers && linux

package peers

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// waitsFor waits until the application says why it is not ready.
func (a keeper) waitsFor(t *testing.T, l *lab, words string) {
	t.Helper()
	eventually(t, a.name+" says "+words, func(ctx context.Context) string {
		app, err := l.application(ctx, a.namespace, a.name)
		if err != nil {
			return err.Error()
		}
		if status := fmt.Sprint(app.Object["status"]); condition(app, "Ready") != "False" || !strings.Contains(status, words) {
			return status
		}
		return ""
	})
}

// knows waits until the component answers with the hash of each value.
func (a keeper) knows(t *testing.T, l *lab, values map[string]value) {
	t.Helper()
	for name, v := range values {
		hash := fnv.New64a()
		_, _ = hash.Write(append([]byte("trellis"), v.value...)) // never fails
		want := fmt.Sprintf("string %016x", hash.Sum64())
		if !utf8.Valid(v.value) {
			want = fmt.Sprintf("bytes %016x", hash.Sum64())
		}
		eventually(t, "the component answers with the hash of "+name, func(ctx context.Context) string {
			if got := a.says(ctx, l, name); got != want {
				return fmt.Sprintf("%q; want %q", got, want)
			}
			return ""
		})
	}
}

// says is the answer of the component, or why there is none.
func (a keeper) says(ctx context.Context, l *lab, name string) string {
	service := &corev1.Service{}
	if err := l.client.Get(ctx, types.NamespacedName{Namespace: a.namespace, Name: a.name}, service); err != nil {
		return err.Error()
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s:%d/%s", service.Spec.ClusterIP, service.Spec.Ports[0].Port, name), nil)
	if err != nil {
		return err.Error()
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<12))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(body))
}
