package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/keelway/keelway/api/v1alpha1"
)

// getArgs is what is asked of get.
type getArgs struct {
	kind     kind
	name     string
	all      bool
	selector string
}

func (s *session) verbGet() *cobra.Command {
	c := &cobra.Command{
		Use:   "get [KIND] [NAME]",
		Short: "List workflows, servers, services, runs or providers",
		Long: `get lists objects of a kind, by default workflows, with the columns that kubectl get shows. KIND is batchworkflows, servers,
taskservices, runs or providers, also in the singular or by its short name.`,
		Example:           "  keelway get\n  keelway get servers -l role=web -o wide\n  keelway get ktsv/etcd -o yaml",
		Args:              cobra.MaximumNArgs(2),
		ValidArgsFunction: s.completeKinds,
	}
	var a getArgs
	c.Flags().BoolVarP(&a.all, "all-namespaces", "A", false, "of all namespaces")
	c.Flags().StringVarP(&a.selector, "selector", "l", "", "only objects with these labels: key=value,…")
	f := formatFlag(c, "table", "wide", "json", "yaml", "name")
	c.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if err := a.parse(args); err != nil {
			return err
		}
		cl, err := s.connect()
		if err != nil {
			return err
		}
		switch f.chosen {
		case "table", "wide":
			return s.getTable(cmd.Context(), cl, a, f)
		}
		return s.getObjects(cmd.Context(), cl, a, f)
	}
	return c
}

func (a *getArgs) parse(args []string) (err error) {
	a.kind = kinds[0]
	if len(args) > 0 {
		if before, name, slash := strings.Cut(args[0], "/"); slash {
			if len(args) > 1 {
				return invalid("%s names an object already, and %s is one more", clip(args[0], 60), clip(args[1], 60))
			}
			args = []string{before, name}
		}
		if a.kind, err = kindOf(args[0]); err != nil {
			return err
		}
	}
	if len(args) > 1 {
		a.name = args[1]
	}
	if a.name != "" && (a.all || a.selector != "") {
		return invalid("a name finds one object of one namespace: leave out -A and -l")
	}
	return nil
}

// getTable prints the table that the API server makes, as kubectl does.
func (s *session) getTable(ctx context.Context, c *cluster, a getArgs, f *format) error {
	if a.name != "" { // for the nearest names
		if err := c.get(ctx, a.kind, a.name, a.kind.empty()); err != nil {
			return err
		}
	}
	config := rest.CopyConfig(c.config)
	group := v1alpha1.GroupVersion
	config.GroupVersion, config.APIPath = &group, "/apis"
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	rc, err := rest.RESTClientFor(config)
	if err != nil {
		return err
	}
	request := rc.Get().Resource(a.kind.resource).SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
	if !a.all {
		request = request.Namespace(c.namespace)
	}
	if a.name != "" {
		request = request.Name(a.name)
	}
	if a.selector != "" {
		request = request.Param("labelSelector", a.selector)
	}
	result := request.Do(ctx)
	if err := result.Error(); err != nil {
		return fmt.Errorf("listing %s: %w", a.kind.resource, err)
	}
	text, err := result.Raw()
	if err != nil {
		return fmt.Errorf("listing %s: %w", a.kind.resource, err)
	}
	table := &metav1.Table{}
	if err := json.Unmarshal(text, table); err != nil {
		return fmt.Errorf("reading the list of %s: %w", a.kind.resource, err)
	}
	if len(table.Rows) == 0 {
		s.note("no %s in %s", a.kind.resource, a.where(c))
		return nil
	}
	for i := range table.Rows { // the printer reads namespaces from objects
		meta := &metav1.PartialObjectMetadata{}
		if err := json.Unmarshal(table.Rows[i].Object.Raw, meta); err != nil {
			return err
		}
		table.Rows[i].Object.Object = meta
	}
	return printers.NewTablePrinter(printers.PrintOptions{NoHeaders: !f.heads, Wide: f.chosen == "wide", WithNamespace: a.all}).PrintObj(table, s.Out)
}

func (a getArgs) where(c *cluster) string {
	text := "namespace " + c.namespace
	if a.all {
		text = "any namespace"
	}
	if a.selector != "" {
		text += " with labels " + a.selector
	}
	return text
}

// getObjects prints whole objects, or their names.
func (s *session) getObjects(ctx context.Context, c *cluster, a getArgs, f *format) error {
	if a.name != "" {
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(a.kind.GroupVersionKind)
		if err := c.get(ctx, a.kind, a.name, object); err != nil {
			return err
		}
		return s.objects(f, a.kind, object.Object, []unstructured.Unstructured{*object})
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(a.kind.GroupVersion().WithKind(a.kind.Kind + "List"))
	options := []client.ListOption{}
	if !a.all {
		options = append(options, client.InNamespace(c.namespace))
	}
	if a.selector != "" {
		options = append(options, &client.ListOptions{Raw: &metav1.ListOptions{LabelSelector: a.selector}})
	}
	if err := c.List(ctx, list, options...); err != nil {
		return fmt.Errorf("listing %s: %w", a.kind.resource, err)
	}
	for i := range list.Items {
		unstructured.RemoveNestedField(list.Items[i].Object, "metadata", "managedFields")
	}
	return s.objects(f, a.kind, list.UnstructuredContent(), list.Items)
}

func (s *session) objects(f *format, k kind, value map[string]any, items []unstructured.Unstructured) error {
	unstructured.RemoveNestedField(value, "metadata", "managedFields")
	if done, err := s.data(f, value); done {
		return err
	}
	for i := range items {
		if _, err := fmt.Fprintf(s.Out, "%s.%s/%s\n", k.names[0], k.Group, items[i].GetName()); err != nil {
			return err
		}
	}
	return nil
}
