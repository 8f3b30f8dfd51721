// Command node is the first process of a node. The harness starts it with
// process, mount, network, host name and IPC namespaces of its own; it lays
// out the node's file system, configures its cable, runs the node's programs
// and starts them again when they end. When it dies the kernel ends every
// process, mount and link of the node with it, so a node never leaves
// anything behind.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"syscall"
)

// Config is what the harness tells the node, as a JSON file.
type Config struct {
	Name string `json:"name"`
	// Binds are folders of the machine put over folders of the node.
	Binds []Bind `json:"binds"`
	// Sysctls are files below /proc/sys that the node's programs insist on
	// writing and that belong to the whole machine: the node gets copies.
	Sysctls []string `json:"sysctls"`
	Cable   Cable    `json:"cable"`
	// Programs are started in order.
	Programs []Program `json:"programs"`
}

// Bind is one folder put over another.
type Bind struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Cable is the node's end of its link to the machine.
type Cable struct {
	Link    string            `json:"link"` // name in which it arrives; it becomes eth0
	Address string            `json:"address"`
	Routes  map[string]string `json:"routes"` // destination to gateway
}

// Program is one of the node's programs.
type Program struct {
	Name string   `json:"name"`
	Path string   `json:"path"`
	Args []string `json:"args"`
	Log  string   `json:"log"`
	// After is a file that has to exist before the program is started.
	After string `json:"after"`
}

func main() {
	log.SetFlags(log.LstdFlags | log.Lmicroseconds | log.LUTC)
	log.SetPrefix("node: ")
	if len(os.Args) != 2 {
		log.Fatal("the one argument is the node's configuration file")
	}
	if os.Getpid() != 1 {
		log.Fatal("this is the first process of a node; the harness starts it with namespaces of its own")
	}
	if err := run(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func run(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var config Config
	if err := json.Unmarshal(content, &config); err != nil {
		return fmt.Errorf("%s is not a node's configuration: %w", path, err)
	}
	if err := syscall.Sethostname([]byte(config.Name)); err != nil {
		return fmt.Errorf("the host name cannot be set: %w", err)
	}
	if err := layOut(config); err != nil {
		return err
	}
	if err := keepCable(config.Cable); err != nil {
		return err
	}
	log.Printf("%s is laid out", config.Name)
	return supervise(config.Programs)
}
