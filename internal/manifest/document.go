// Package manifest knows how YAML of Keelway's kinds is read: many documents in a file, each field with its line, and everything that
// is wrong at once, in the words of the API server's schema and of the operator. It must not know a cluster: values in, values out.
package manifest

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

// Bounds of what is read.
const (
	MaxBytes     = 16 << 20 // of a file
	MaxDocuments = 10_000   // of a file
)

// Document is one object of a file.
type Document struct {
	*unstructured.Unstructured
	File string
	Line int // of its beginning

	root  *yamlv3.Node
	above int // lines of the file before the document's text
}

// Fault is one thing that is wrong with a file.
type Fault struct {
	File    string `json:"file"`
	Line    int    `json:"line"`             // 1 is the first; 0: the file as a whole
	Object  string `json:"object,omitempty"` // kind/name
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

func (f Fault) Error() string {
	text := f.File
	if f.Line > 0 {
		text += ":" + strconv.Itoa(f.Line)
	}
	if f.Field != "" && !strings.HasPrefix(f.Message, f.Field+":") {
		text += ": " + f.Field
	}
	return text + ": " + f.Message
}

// Read splits a file into its documents. What cannot be read at all is a fault, and the other documents are read all the same;
// empty documents are none.
func Read(file string, text []byte) (docs []*Document, faults []Fault) {
	if len(text) > MaxBytes {
		return nil, []Fault{{File: file, Message: fmt.Sprintf("%d bytes; at most %d are read", len(text), MaxBytes)}}
	}
	for _, p := range split(text) {
		if len(docs) == MaxDocuments {
			return docs, append(faults, Fault{File: file, Line: p.above + 1, Message: fmt.Sprintf("more than %d documents", MaxDocuments)})
		}
		doc, found := p.read(file)
		faults = append(faults, found...)
		if doc != nil {
			docs = append(docs, doc)
		}
	}
	return docs, faults
}

// part is the text of one document, and the number of lines before it.
type part struct {
	text  []byte
	above int
}

// split cuts at lines that begin with three dashes, as kubectl does.
func split(text []byte) (parts []part) {
	line, from, above := 0, 0, 0
	for at := 0; at < len(text); line++ {
		end := at + bytes.IndexByte(text[at:], '\n') + 1
		if end == at {
			end = len(text)
		}
		if bytes.HasPrefix(text[at:end], []byte("---")) {
			parts = append(parts, part{text[from:at], above})
			rest := bytes.TrimSpace(text[at+3 : end])
			if from, above = end, line+1; len(rest) > 0 && rest[0] != '#' { // --- {kind: …}
				from, above = at+3, line
			}
		}
		at = end
	}
	return append(parts, part{text[from:], above})
}

func (p part) read(file string) (*Document, []Fault) {
	root := &yamlv3.Node{}
	if err := yamlv3.Unmarshal(p.text, root); err != nil {
		return nil, p.syntax(file, err)
	}
	if len(root.Content) == 0 || root.Content[0].Tag == "!!null" {
		return nil, nil
	}
	doc := &Document{File: file, Line: p.above + root.Content[0].Line, root: root.Content[0], above: p.above}
	asJSON, err := yaml.YAMLToJSONStrict(p.text)
	if err != nil {
		return nil, p.syntax(file, err)
	}
	object := map[string]any{}
	if root.Content[0].Kind != yamlv3.MappingNode {
		return nil, []Fault{{File: file, Line: doc.Line, Message: "an object with apiVersion, kind and metadata is expected here"}}
	}
	if err := utiljson.Unmarshal(asJSON, &object); err != nil {
		return nil, []Fault{{File: file, Line: doc.Line, Message: err.Error()}}
	}
	doc.Unstructured = &unstructured.Unstructured{Object: object}
	return doc, nil
}

var lineOf = regexp.MustCompile(`line (\d+): (.*)`)

// syntax turns the words of the YAML libraries into faults with lines of the file.
func (p part) syntax(file string, err error) (faults []Fault) {
	for text := range strings.SplitSeq(err.Error(), "\n") {
		if m := lineOf.FindStringSubmatch(text); m != nil {
			line, _ := strconv.Atoi(m[1])
			faults = append(faults, Fault{File: file, Line: p.above + line, Message: m[2]})
		}
	}
	if len(faults) == 0 {
		faults = []Fault{{File: file, Line: p.above + 1, Message: strings.TrimPrefix(err.Error(), "yaml: ")}}
	}
	return faults
}

// Title is kind/name, as far as they are there.
func (d *Document) Title() string { return strings.Trim(d.GetKind()+"/"+d.GetName(), "/") }

func (d *Document) fault(field, format string, args ...any) Fault {
	return Fault{File: d.File, Line: d.LineOf(field), Object: d.Title(), Field: field, Message: fmt.Sprintf(format, args...)}
}
