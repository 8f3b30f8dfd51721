module github.com/trellis-operator/trellis/test/kube/tools/pause

go 1.26.0
