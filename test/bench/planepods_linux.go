package main

import (
	"context"
	"fmt"
	"net"

	"github.com/nats-io/nkeys"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/trellis-operator/trellis/api/wasmcloud/v1alpha1"
)

const (
	podNamespace = "hosts"
	nodes        = 10
)

// makeNodes makes nodes of three zones; nobody runs there.
func (b *planeBench) makeNodes(ctx context.Context) error {
	for i := range nodes {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName(i),
			Labels: map[string]string{corev1.LabelTopologyZone: fmt.Sprintf("zone-%d", i%3)}}}
		if _, err := b.kube.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("make node %s: %w", node.Name, err)
		}
	}
	return nil
}

func nodeName(i int) string { return fmt.Sprintf("node-%d", i%nodes) }

// startHosts makes pods that are ready, as a kubelet would say, and the host in each of them.
func (b *planeBench) startHosts(ctx context.Context, group string, count int) (pods []*corev1.Pod, err error) {
	for range count {
		pod, err := b.startHost(ctx, group)
		if err != nil {
			return nil, err
		}
		pods = append(pods, pod)
	}
	return pods, nil
}

func (b *planeBench) startHost(ctx context.Context, group string) (*corev1.Pod, error) {
	i := b.pods
	b.pods++
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: podNamespace, Name: fmt.Sprintf("%s-%d", group, i),
			Labels: map[string]string{v1alpha1.AppNameLabel: v1alpha1.AppName, v1alpha1.InstanceLabel: group}},
		Spec: corev1.PodSpec{NodeName: nodeName(i), Containers: []corev1.Container{{Name: v1alpha1.HostContainer, Image: "host"}}},
	}
	made, err := b.kube.CoreV1().Pods(podNamespace).Create(ctx, pod, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("make pod %s: %w", pod.Name, err)
	}
	address := fmt.Sprintf("10.1.%d.%d", i/250, 1+i%250)
	made.Status = corev1.PodStatus{Phase: corev1.PodRunning, PodIP: address, PodIPs: []corev1.PodIP{{IP: address}},
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}}
	if made, err = b.kube.CoreV1().Pods(podNamespace).UpdateStatus(ctx, made, metav1.UpdateOptions{}); err != nil {
		return nil, fmt.Errorf("make pod %s ready: %w", pod.Name, err)
	}
	id, err := b.hostID(made.Name)
	if err != nil {
		return nil, err
	}
	return made, b.hosts.Do(`{start: {id: %s, labels: {kubernetes: "true", %s: %q, %s: %q, %s: %q, %s: %q}}}`, id, v1alpha1.HostLabelPodName, made.Name,
		v1alpha1.HostLabelPodUID, string(made.UID), v1alpha1.HostLabelNamespace, made.Namespace, v1alpha1.HostLabelNode, made.Spec.NodeName)
}

// hostID makes the key of the host in a pod.
func (b *planeBench) hostID(pod string) (string, error) {
	pair, err := nkeys.CreateServer()
	if err != nil {
		return "", fmt.Errorf("make the key of a host: %w", err)
	}
	id, err := pair.PublicKey()
	if b.ids == nil {
		b.ids = map[string]string{}
	}
	b.ids[pod] = id
	return id, err
}

// sayReady writes of a pod whether it is ready, as a kubelet does.
func (b *planeBench) sayReady(ctx context.Context, pod *corev1.Pod, ready corev1.ConditionStatus) error {
	patch := fmt.Sprintf(`{"status":{"conditions":[{"type":"Ready","status":%q}]}}`, ready)
	_, err := b.kube.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	if err != nil {
		return fmt.Errorf("say that pod %s is ready: %s: %w", pod.Name, ready, err)
	}
	return nil
}

// listen opens ports at every address; what connects is let go.
func listen(from, count int) (stop func(), err error) {
	var open []net.Listener
	stop = func() {
		for _, l := range open {
			_ = l.Close()
		}
	}
	for port := from; port < from+count; port++ {
		l, err := net.Listen("tcp4", fmt.Sprintf(":%d", port))
		if err != nil {
			stop()
			return nil, fmt.Errorf("listen as a provider does: %w", err)
		}
		open = append(open, l)
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return // closed
				}
				_ = conn.Close()
			}
		}()
	}
	return stop, nil
}
