// Command kubernetes is every Kubernetes program in one file, chosen by the
// name it is started under (like busybox): as kubectl it is kubectl, as
// kubelet it is the kubelet. One binary shares what the seven programs have in
// common, which saves most of a 10-minute build and of a gigabyte of disk.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	_ "time/tzdata" // time zones of CronJobs

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // kubectl's login plug-ins
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

const names = "etcd, kube-apiserver, kube-controller-manager, kube-proxy, kube-scheduler, kubectl, kubelet"

func main() {
	name := strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")
	if code, known := run(name); known {
		os.Exit(code)
	}
	// Under any other name the first argument says which program is meant.
	if len(os.Args) > 1 {
		os.Args = os.Args[1:]
		if code, known := run(os.Args[0]); known {
			os.Exit(code)
		}
	}
	fmt.Fprintln(os.Stderr, "Start this program under one of these names, or give one as first argument:", names)
	os.Exit(2)
}

func run(name string) (code int, known bool) {
	switch name {
	case "etcd":
		etcdmain.Main(os.Args)
		return 0, true
	case "kubectl":
		return kubectl(), true
	}
	if command := component(name); command != nil {
		return cli.Run(command), true
	}
	return 0, false
}

func component(name string) *cobra.Command {
	switch name {
	case "kube-apiserver":
		return apiserver.NewAPIServerCommand()
	case "kube-controller-manager":
		return controllers.NewControllerManagerCommand()
	case "kube-proxy":
		return proxy.NewProxyCommand()
	case "kube-scheduler":
		return scheduler.NewSchedulerCommand()
	case "kubelet":
		return kubelet.NewKubeletCommand(context.Background())
	}
	return nil
}

func kubectl() int {
	// Before the command exists, because its construction logs already.
	_, _ = logs.GlogSetter(cmd.GetLogVerbosity(os.Args))
	if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
		util.CheckErr(err) // prints it and exits with kubectl's own codes
	}
	return 0
}
