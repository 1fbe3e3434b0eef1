package convert

import (
	"bytes"
	"fmt"
	"time"

	yamlv3 "go.yaml.in/yaml/v3"
)

// What is written: the fields of a BatchWorkflow that the older form can fill, in the order in which people read them.
type (
	workflow struct {
		APIVersion string   `yaml:"apiVersion"`
		Kind       string   `yaml:"kind"`
		Metadata   metadata `yaml:"metadata"`
		Spec       spec     `yaml:"spec"`
	}
	metadata struct {
		Name string `yaml:"name"`
	}
	spec struct {
		ParallelLimit int         `yaml:"parallelLimit,omitempty"`
		OnFailure     string      `yaml:"onFailure,omitempty"`
		Timeout       string      `yaml:"timeout,omitempty"`
		Operations    []operation `yaml:"operations"`
	}
	operation struct {
		Name             string            `yaml:"name"`
		Type             string            `yaml:"type"`
		DependsOn        []dependency      `yaml:"dependsOn,omitempty"`
		OnFailure        string            `yaml:"onFailure,omitempty"`
		Retry            *retry            `yaml:"retry,omitempty"`
		Timeout          string            `yaml:"timeout,omitempty"`
		ServerBatch      *serverBatch      `yaml:"serverBatch,omitempty"`
		TaskServiceBatch *taskServiceBatch `yaml:"taskServiceBatch,omitempty"`
		Check            *check            `yaml:"check,omitempty"`
		Command          *command          `yaml:"command,omitempty"`
		Approval         *approval         `yaml:"approval,omitempty"`
	}
	dependency struct {
		Operation string `yaml:"operation"`
		Type      string `yaml:"type"`
	}
	retry struct {
		Limit   int     `yaml:"limit"`
		Backoff backoff `yaml:"backoff,omitempty"`
	}
	backoff struct {
		Duration    string `yaml:"duration,omitempty"`
		Factor      int    `yaml:"factor,omitempty"`
		MaxDuration string `yaml:"maxDuration,omitempty"`
	}
	serverBatch struct {
		Count    int      `yaml:"count"`
		Template template `yaml:"template"`
	}
	template struct {
		Spec serverSpec `yaml:"spec"`
	}
	serverSpec struct {
		ProviderRef ref `yaml:"providerRef"`
	}
	ref struct {
		Name string `yaml:"name"`
	}
	taskServiceBatch struct {
		Recipes []recipe `yaml:"recipes"`
		Targets target   `yaml:"targets"`
	}
	recipe struct {
		Name string `yaml:"name"`
	}
	target struct {
		Operation string `yaml:"operation"`
	}
	check struct {
		Condition string `yaml:"condition"`
	}
	approval struct {
		Message string `yaml:"message"`
	}
	command struct {
		Script string `yaml:"script"`
		Target target `yaml:"target"`
	}
)

// note is what could not be carried over: of an operation, or (-1) of the whole.
type note struct {
	operation int
	text      string
}

// write gives YAML with the notes as comments where they belong.
func (w *workflow) write(notes []note) ([]byte, error) {
	root := &yamlv3.Node{}
	if err := root.Encode(w); err != nil {
		return nil, err
	}
	operations := value(value(root, "spec"), "operations")
	for _, n := range notes {
		at := root
		if n.operation >= 0 && n.operation < len(operations.Content) {
			at = operations.Content[n.operation]
		}
		if at.HeadComment != "" {
			at.HeadComment += "\n"
		}
		at.HeadComment += n.text
	}
	var out bytes.Buffer
	encoder := yamlv3.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(root); err != nil {
		return nil, err
	}
	return out.Bytes(), encoder.Close()
}

func value(at *yamlv3.Node, key string) *yamlv3.Node {
	for i := 0; i+1 < len(at.Content); i += 2 {
		if at.Content[i].Value == key {
			return at.Content[i+1]
		}
	}
	return &yamlv3.Node{}
}

// seconds writes a time as our durations are written; "" for none.
func seconds(n int) string {
	if n < 0 {
		return ""
	}
	d := time.Duration(n) * time.Second
	switch {
	case n > 0 && d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case n > 0 && d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", n)
}
