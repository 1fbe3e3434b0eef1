package v1alpha1_test

import (
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/keelway/keelway/hack/lab"
)

// refusal is a change of an example that the API server must refuse in these words.
type refusal struct{ file, change, want string }

// operations writes the operations of a workflow in place of the example's.
func operations(list ...string) string {
	return "spec: {operations: [" + strings.Join(list, ", ") + "]}"
}

const (
	wait  = `{name: a, type: Wait, wait: {duration: 1s}}`
	batch = `{name: a, type: ServerBatch, serverBatch: {%s template: {%s spec: {providerRef: {name: local}}}}}`
)

func check(section string) string {
	return operations(`{name: a, type: Check, check: {` + section + `}}`)
}

func servers(how, labels string) string { return operations(fmt.Sprintf(batch, how, labels)) }

var refusals = map[string]refusal{
	"ProviderOfNoType":      {"provider-minimal.yaml", "spec: {type: null}", "spec.type: Required value"},
	"ProviderOfUnknownType": {"provider-minimal.yaml", "spec: {type: Azure}", `supported values: "AWS", "UpCloud", "Local"`},
	"AWSWithoutSection":     {"provider-minimal.yaml", "spec: {type: AWS, local: null}", "type AWS the section aws"},
	"AWSWithLocal":          {"provider-minimal.yaml", "spec: {type: AWS, aws: {region: eu-west-1}}", "there is none of another type"},
	"AWSRegion":             {"provider-minimal.yaml", "spec: {type: AWS, local: null, aws: {region: here}}", "spec.aws.region"},
	"AWSTwoGroups":          {"provider-minimal.yaml", "spec: {type: AWS, local: null, aws: {region: eu-west-1, network: {sshFrom: [10.0.0.0/8], securityGroupIDs: [sg-1]}}}", "with securityGroupIDs leave it out"},
	"UpCloudNoCredentials":  {"provider-minimal.yaml", "spec: {type: UpCloud, local: null}", "type UpCloud needs credentials"},
	"UpCloudGroup":          {"provider-minimal.yaml", "spec: {type: UpCloud, local: null, credentials: {secretRef: {name: a}}, upCloud: {serverGroup: x}}", "spec.upCloud.serverGroup"},
	"LocalWithCredentials":  {"provider-minimal.yaml", "spec: {credentials: {secretRef: {name: a}}}", "type Local has no credentials"},
	"LocalWithoutSection":   {"provider-minimal.yaml", "spec: {local: null}", "type Local needs the section local"},
	"UnknownDriver":         {"provider-minimal.yaml", "spec: {local: {driver: Vagrant}}", `supported values: "Process", "Memory", "Docker", "Host"`},
	"HostsOfProcess":        {"provider-minimal.yaml", "spec: {local: {hosts: [{address: 10.0.0.4}]}}", "hosts is needed by the driver Host and only there"},
	"HostWithoutHosts":      {"provider-minimal.yaml", "spec: {local: {driver: Host}}", "hosts is needed by the driver Host and only there"},
	"ImageOfProcess":        {"provider-minimal.yaml", "spec: {local: {docker: {image: x}}}", "docker is only for the driver Docker"},
	"EndpointOfProcess":     {"provider-minimal.yaml", "spec: {local: {endpoint: 'http://127.0.0.1:1'}}", "endpoint is only for the driver Memory"},
	"EndpointElsewhere":     {"provider-full.yaml", "spec: {local: {endpoint: 'http://10.0.0.1:1'}}", "spec.local.endpoint"},
	"NothingInFlight":       {"provider-minimal.yaml", "spec: {limits: {maxInFlight: 0}}", "greater than or equal to 1"},
	"LocalWithRequests":     {"provider-minimal.yaml", "spec: {limits: {requestsPerSecond: 10}}", "type Local has no limits.requestsPerSecond"},
	"TooManyRequests":       {"provider-minimal.yaml", "spec: {limits: {requestsPerSecond: 1001}}", "less than or equal to 1000"},
	"TooManyInFlight":       {"provider-minimal.yaml", "spec: {limits: {maxInFlight: 1001}}", "less than or equal to 1000"},
	"MirrorTwice":           {"provider-minimal.yaml", "spec: {mirrors: [{prefix: a, url: 'http://b'}, {prefix: a, url: 'http://c'}]}", "Duplicate value"},
	"MirrorByFTP":           {"provider-minimal.yaml", "spec: {mirrors: [{prefix: a, url: 'ftp://b'}]}", "spec.mirrors[0].url"},
	"UnknownField":          {"provider-minimal.yaml", "spec: {colour: red}", `unknown field "spec.colour"`},

	"ServerWithoutProvider":  {"server-minimal.yaml", "spec: {providerRef: null}", "spec.providerRef: Required value"},
	"ServerProviderNameless": {"server-minimal.yaml", "spec: {providerRef: {name: ''}}", "spec.providerRef.name"},
	"EmptySize":              {"server-minimal.yaml", "spec: {size: ''}", "spec.size"},
	"LongSize":               {"server-minimal.yaml", "spec: {size: " + strings.Repeat("x", 64) + "}", "may not be more than 63"},
	"DiskTwice":              {"server-minimal.yaml", "spec: {disks: [{name: a}, {name: a}]}", "Duplicate value"},
	"DiskOfNothing":          {"server-minimal.yaml", "spec: {rootDisk: {sizeGiB: -1}}", "greater than or equal to 1"},
	"UnknownPower":           {"server-minimal.yaml", "spec: {power: Sleeping}", `supported values: "Running", "Stopped"`},
	"UnknownUpdatePolicy":    {"server-minimal.yaml", "spec: {updatePolicy: Never}", `supported values: "InPlaceOnly", "ReplaceAllowed"`},
	"IgnoreFields":           {"server-minimal.yaml", "spec: {ignoreFields: [colour]}", `supported values: "size", "zone", "image", "rootDisk", "disks", "power", "labels"`},
	"AdoptNothing":           {"server-minimal.yaml", "spec: {adopt: {id: ''}}", "spec.adopt.id"},
	"DeletionPolicy":         {"server-minimal.yaml", "spec: {deletionPolicy: Keep}", `supported values: "Delete", "Orphan"`},

	"RecipeAbsent":            {"taskservice-minimal.yaml", "spec: {recipe: null}", "spec.recipe: Required value"},
	"NamesAndSelector":        {"taskservice-minimal.yaml", "spec: {servers: {selector: {}}}", "exactly one of names and selector is needed"},
	"NeitherNamesNorSelector": {"taskservice-minimal.yaml", "spec: {servers: {names: null}}", "exactly one of names and selector is needed"},
	"NoNames":                 {"taskservice-minimal.yaml", "spec: {servers: {names: []}}", "at least 1 items"},
	"NameTwice":               {"taskservice-minimal.yaml", "spec: {servers: {names: [a, a]}}", "Duplicate value"},
	"ParametersNotAnObject":   {"taskservice-minimal.yaml", "spec: {parameters: [1]}", "must be of type object"},
	"ParameterTwice":          {"taskservice-minimal.yaml", "spec: {parametersFrom: [{parameter: a, secretKeyRef: {name: s, key: a}}, {parameter: a, secretKeyRef: {name: s, key: b}}]}", "Duplicate value"},
	"ParameterFromNowhere":    {"taskservice-minimal.yaml", "spec: {parametersFrom: [{parameter: a}]}", "spec.parametersFrom[0] in body should have at least 2 properties"},
	"ParameterFromTwoPlaces":  {"taskservice-minimal.yaml", "spec: {parametersFrom: [{parameter: a, secretKeyRef: {name: s, key: a}, taskServiceRef: {name: t, output: o}}]}", "must have at most 2 items"},
	"HealthTooOften":          {"taskservice-minimal.yaml", "spec: {health: {interval: 1s}}", "interval must lie between 5s and 24h"},
	"HealthNoDuration":        {"taskservice-minimal.yaml", "spec: {health: {interval: often}}", "spec.health.interval"},
	"HealthHuge":              {"taskservice-minimal.yaml", "spec: {health: {interval: 99999999999999999999h}}", "spec.health.interval"},
	"HealthNegative":          {"taskservice-minimal.yaml", "spec: {health: {interval: -5s}}", "spec.health.interval"},
	"HealthInDays":            {"taskservice-minimal.yaml", "spec: {health: {interval: 1d}}", "spec.health.interval"},

	"RunWithoutSection":    {"run-minimal.yaml", "spec: {tcp: null}", "exactly the section of the action is needed"},
	"RunWithTwoSections":   {"run-minimal.yaml", "spec: {http: {url: 'http://a'}}", "exactly the section of the action is needed"},
	"RunWithWrongSection":  {"run-minimal.yaml", "spec: {action: HTTP}", "exactly the section of the action is needed"},
	"CommandWithoutTarget": {"run-full.yaml", "spec: {target: null}", "a Command needs a target"},
	"TimeoutZero":          {"run-minimal.yaml", "spec: {timeout: 0s}", "timeout must lie between 1s and 24h"},
	"TimeoutLong":          {"run-minimal.yaml", "spec: {timeout: 25h}", "timeout must lie between 1s and 24h"},
	"TimeoutUnitless":      {"run-minimal.yaml", "spec: {timeout: '5'}", "spec.timeout"},
	"ExitCode":             {"run-full.yaml", "spec: {expect: {exitCode: 256}}", "less than or equal to 255"},
	"Status":               {"run-minimal.yaml", "spec: {expect: {status: 99}}", "greater than or equal to 100"},
	"EnvName":              {"run-full.yaml", "spec: {command: {env: [{name: a-b, value: x}]}}", "spec.command.env[0].name"},
	"EnvTwice":             {"run-full.yaml", "spec: {command: {env: [{name: a, value: x}, {name: a, value: y}]}}", "Duplicate value"},
	"EmptyScript":          {"run-full.yaml", "spec: {command: {script: ''}}", "spec.command.script"},

	"LongWorkflowName":       {"batchworkflow-minimal.yaml", "metadata: {name: " + strings.Repeat("w", 64) + "}", "the name of a BatchWorkflow has at most 63 characters"},
	"NoOperations":           {"batchworkflow-minimal.yaml", operations(), "should have at least 1 items"},
	"ParallelLimitZero":      {"batchworkflow-minimal.yaml", "spec: {parallelLimit: 0}", "greater than or equal to 1"},
	"OnFailure":              {"batchworkflow-minimal.yaml", "spec: {onFailure: Explode}", `supported values: "Fail", "Continue", "Ignore", "Rollback"`},
	"WorkflowDeletionPolicy": {"batchworkflow-minimal.yaml", "spec: {deletionPolicy: Keep}", `supported values: "Delete", "Orphan"`},
	"WorkflowTimeout":        {"batchworkflow-minimal.yaml", "spec: {timeout: 721h}", "timeout must lie between 1s and 720h"},
	"ApprovalSection":        {"batchworkflow-minimal.yaml", operations(`{name: a, type: Approval}`), "exactly the section of the type is needed"},
	"PowerOfOthers":          {"batchworkflow-minimal.yaml", operations(`{name: a, type: Power, power: {state: Stopped, target: {server: web-1}}}`), "only servers that this workflow made are switched"},
	"SelfEdge":               {"batchworkflow-minimal.yaml", operations(`{name: a, type: Wait, wait: {duration: 1s}, dependsOn: [{operation: a}]}`), "dependsOn names other operations that exist"},
	"UnknownDependency":      {"batchworkflow-minimal.yaml", operations(wait, `{name: b, type: Wait, wait: {duration: 1s}, dependsOn: [{operation: c}]}`), "dependsOn names other operations that exist"},
	"EdgeType":               {"batchworkflow-minimal.yaml", operations(wait, `{name: b, type: Wait, wait: {duration: 1s}, dependsOn: [{operation: a, type: Loose}]}`), `supported values: "Hard", "Soft", "Optional"`},
	"EdgeMatch":              {"batchworkflow-minimal.yaml", operations(wait, `{name: b, type: Wait, wait: {duration: 1s}, dependsOn: [{operation: a, match: Some}]}`), `supported values: "All", "SameIndex"`},
	"AbsentAndSoft":          {"batchworkflow-minimal.yaml", operations(wait, `{name: b, type: Wait, wait: {duration: 1s}, dependsOn: [{operation: nobody, type: Soft}]}`), "unless the type of the edge is Optional"},
	"TotalTimeout":           {"batchworkflow-minimal.yaml", operations(`{name: b, type: Wait, wait: {duration: 1s}, totalTimeout: 1ms}`), "totalTimeout must lie between 1s and 720h"},
	"UndoTimeout":            {"batchworkflow-minimal.yaml", "spec: {undo: {timeout: 1ms}}", "timeout must lie between 1s and 720h"},
	"TwoChecks":              {"batchworkflow-minimal.yaml", operations(`{name: b, type: Check, check: {tcp: {address: "a:1"}, condition: "true"}}`), "exactly one of http, tcp, command and condition"},
	"ConditionWithTarget":    {"batchworkflow-minimal.yaml", operations(`{name: b, type: Check, check: {target: {server: a}, condition: "true"}}`), "a condition has neither target nor expect"},
	"VerifyAlone":            {"batchworkflow-minimal.yaml", operations(`{name: b, type: Command, command: {script: "true", target: {server: a}, verify: "true"}}`), "onUnknown Verify needs the script verify"},
	"TTL":                    {"batchworkflow-minimal.yaml", "spec: {ttlAfterFinished: 9999h}", "ttlAfterFinished must lie between"},
	"OperationTwice":         {"batchworkflow-minimal.yaml", operations(wait, wait), "key a already exists evaluating rule: every operation has a name of its own"},
	"OperationName":          {"batchworkflow-minimal.yaml", operations(`{name: A_b, type: Wait, wait: {duration: 1s}}`), "spec.operations[0].name"},
	"LongOperationName":      {"batchworkflow-minimal.yaml", operations(`{name: ` + strings.Repeat("a", 41) + `, type: Wait, wait: {duration: 1s}}`), "may not be more than 40"},
	"OperationType":          {"batchworkflow-minimal.yaml", operations(`{name: a, type: Party}`), `supported values: "ServerBatch", "TaskServiceBatch", "Check", "Command", "Wait", "Approval", "Power"`},
	"NoSection":              {"batchworkflow-minimal.yaml", operations(`{name: a, type: Wait}`), "exactly the section of the type is needed"},
	"TwoSections":            {"batchworkflow-minimal.yaml", operations(`{name: a, type: Wait, wait: {duration: 1s}, check: {tcp: {address: 'a:1'}}}`), "exactly the section of the type is needed"},
	"WrongSection":           {"batchworkflow-minimal.yaml", operations(`{name: a, type: Check, wait: {duration: 1s}}`), "exactly the section of the type is needed"},
	"CountAndForEach":        {"batchworkflow-minimal.yaml", servers("count: 1, forEach: [{key: a}],", ""), "exactly one of count, forEach and forEachFrom is needed"},
	"NeitherCountNorForEach": {"batchworkflow-minimal.yaml", servers("", ""), "exactly one of count, forEach and forEachFrom is needed"},
	"CountAndForEachFrom":    {"batchworkflow-minimal.yaml", servers("count: 1, forEachFrom: '${operations.a.outputs.b}',", ""), "exactly one of count, forEach and forEachFrom is needed"},
	"ForEachAndForEachFrom":  {"batchworkflow-minimal.yaml", servers("forEach: [{key: a}], forEachFrom: '${operations.a.outputs.b}',", ""), "exactly one of count, forEach and forEachFrom is needed"},
	"ForEachFromText":        {"batchworkflow-minimal.yaml", servers("forEachFrom: 'a,b',", ""), "serverBatch.forEachFrom"},
	"KeyTwice":               {"batchworkflow-minimal.yaml", servers("forEach: [{key: a}, {key: a}],", ""), "Duplicate value"},
	"Key":                    {"batchworkflow-minimal.yaml", servers("forEach: [{key: 'a b'}],", ""), "forEach[0].key"},
	"EmptyOverride":          {"batchworkflow-minimal.yaml", servers("forEach: [{key: a, size: ''}],", ""), "forEach[0].size"},
	"CountZero":              {"batchworkflow-minimal.yaml", servers("count: 0,", ""), "greater than or equal to 1"},
	"CountHuge":              {"batchworkflow-minimal.yaml", servers("count: 100001,", ""), "less than or equal to 100000"},
	"LabelOfOurs":            {"batchworkflow-minimal.yaml", servers("count: 1,", "labels: {keelway.dev/workflow: x},"), "labels of keelway.dev are set by the operator"},
	"LabelKey":               {"batchworkflow-minimal.yaml", servers("count: 1,", "labels: {'no label': x},"), "the key of a label is at most 63 letters"},
	"LabelValue":             {"batchworkflow-minimal.yaml", servers("count: 1,", "labels: {a: 'no label'},"), "template.labels.a"},
	"RecipeTwice":            {"batchworkflow-minimal.yaml", operations(`{name: a, type: TaskServiceBatch, taskServiceBatch: {recipes: [{name: etcd}, {name: etcd}], targets: {server: x}}}`), "Duplicate value"},
	"TwoTargets":             {"batchworkflow-minimal.yaml", operations(`{name: a, type: TaskServiceBatch, taskServiceBatch: {recipes: [{name: etcd}], targets: {server: x, operation: a}}}`), "exactly one of operation and server is needed"},
	"KeyOfAServer":           {"batchworkflow-minimal.yaml", operations(`{name: a, type: TaskServiceBatch, taskServiceBatch: {recipes: [{name: etcd}], targets: {server: x, key: a}}}`), "key is only for targets of an operation"},
	"CheckOfNothing":         {"batchworkflow-minimal.yaml", check(`timeout: 1s`), "exactly one of http, tcp, command and condition is needed"},
	"CheckOfTwo":             {"batchworkflow-minimal.yaml", check(`tcp: {address: 'a:1'}, http: {url: 'http://a'}`), "exactly one of http, tcp, command and condition is needed"},
	"CheckByCommandNowhere":  {"batchworkflow-minimal.yaml", check(`command: {script: 'true'}`), "a check by command needs a target"},
	"CheckTimeout":           {"batchworkflow-minimal.yaml", check(`tcp: {address: 'a:1'}, timeout: 25h`), "timeout must lie between 1s and 24h"},
	"CommandNowhere":         {"batchworkflow-minimal.yaml", operations(`{name: a, type: Command, command: {script: 'true'}}`), "command.target: Required value"},
	"WaitForever":            {"batchworkflow-minimal.yaml", operations(`{name: a, type: Wait, wait: {duration: 721h}}`), "duration must lie between 0s and 720h"},
	"WaitInDays":             {"batchworkflow-minimal.yaml", operations(`{name: a, type: Wait, wait: {duration: 1d}}`), "wait.duration"},
	"RetryLimit":             {"batchworkflow-minimal.yaml", operations(`{name: a, type: Wait, wait: {duration: 1s}, retry: {limit: 101}}`), "less than or equal to 100"},
	"BackoffDuration":        {"batchworkflow-minimal.yaml", operations(`{name: a, type: Wait, wait: {duration: 1s}, retry: {backoff: {duration: 2h}}}`), "duration must lie between 0s and 1h"},
	"BackoffFactor":          {"batchworkflow-minimal.yaml", operations(`{name: a, type: Wait, wait: {duration: 1s}, retry: {backoff: {factor: 0}}}`), "greater than or equal to 1"},
	"BackoffMaximum":         {"batchworkflow-minimal.yaml", operations(`{name: a, type: Wait, wait: {duration: 1s}, retry: {backoff: {maxDuration: 25h}}}`), "maxDuration must lie between 0s and 24h"},
}

func TestBadInputIsRefusedInPlainWords(t *testing.T) {
	l := lab.Shared(t)
	namespace := l.Namespace(t)
	for name, tc := range refusals {
		t.Run(name, func(t *testing.T) {
			u, err := create(t, l, namespace, tc.file, tc.change)
			if err == nil {
				_ = l.Client.Delete(t.Context(), u)
				t.Fatal("it was accepted")
			}
			if !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("refused with %q, want %q", err, tc.want)
			}
			if strings.Contains(err.Error(), "evaluation error") {
				t.Errorf("refused by the failure of a rule: %q", err)
			}
		})
	}
}

// TestDryRunChangesNothing: kubectl apply --dry-run=server checks schema and rules, and nothing is kept.
func TestDryRunChangesNothing(t *testing.T) {
	l := lab.Shared(t)
	namespace := l.Namespace(t)
	dry := func(spec string) error {
		text := "apiVersion: keelway.dev/v1alpha1\nkind: BatchWorkflow\nmetadata: {name: dry}\nspec: " + spec + "\n"
		_, err := l.ControlPlane.Kubectl(t.Context(), strings.NewReader(text), "apply", "--server-side", "--dry-run=server", "-n", namespace, "-f", "-")
		return err
	}
	if err := dry(`{operations: [{name: a, type: Wait, wait: {duration: 1s}}]}`); err != nil {
		t.Error(err)
	}
	if err := dry(`{operations: [{name: a, type: Wait}]}`); err == nil || !strings.Contains(err.Error(), "exactly the section of the type is needed") {
		t.Errorf("it is refused with %v", err)
	}
	if left := l.Kubectl(t, "", "get", "bwf,checkpoints.keelway.dev", "-n", namespace, "-o", "name"); left != "" {
		t.Errorf("there is %s now", left)
	}
}

func TestWhatCannotBeChanged(t *testing.T) {
	l := lab.Shared(t)
	for name, tc := range map[string]refusal{
		"ServerProvider":    {"server-full.yaml", "spec: {providerRef: {name: other}}", "providerRef cannot be changed: make another Server"},
		"ServerSize":        {"server-full.yaml", "spec: {size: other}", ""},
		"ServerSizeAdded":   {"server-minimal.yaml", "spec: {size: other}", ""},
		"ServerZone":        {"server-full.yaml", "spec: {zone: other}", "zone cannot be changed: make another Server"},
		"ServerZoneRemoved": {"server-full.yaml", "spec: {zone: null}", "zone cannot be changed: make another Server"},
		"ServerZoneAdded":   {"server-minimal.yaml", "spec: {zone: other}", "zone cannot be changed: make another Server"},
		"ServerImage":       {"server-full.yaml", "spec: {image: null}", ""},
		"ServerRootDisk":    {"server-full.yaml", "spec: {rootDisk: {sizeGiB: 26}}", "rootDisk cannot be changed: make another Server"},
		"ServerDisks":       {"server-full.yaml", "spec: {disks: []}", "disks cannot be changed: make another Server"},
		"ServerNetwork":     {"server-full.yaml", "spec: {network: null}", "network cannot be changed: make another Server"},
		"ServerUserData":    {"server-minimal.yaml", "spec: {userDataFrom: {secretRef: {name: a}}}", "userDataFrom cannot be changed: make another Server"},
		"ServerPolicy":      {"server-full.yaml", "spec: {deletionPolicy: Delete, power: Stopped, updatePolicy: ReplaceAllowed}", ""},
		"RunScript":         {"run-full.yaml", "spec: {command: {script: 'false'}}", "a Run cannot be changed: make another one"},
		"RunTimeout":        {"run-minimal.yaml", "spec: {timeout: 3m}", "a Run cannot be changed: make another one"},
		"ProviderDriver":    {"provider-minimal.yaml", "spec: {local: {driver: Memory}}", "driver and endpoint cannot be changed: make another Provider"},
		"ProviderLimits":    {"provider-minimal.yaml", "spec: {limits: {maxInFlight: 3}}", ""},
		"Recipe":            {"taskservice-minimal.yaml", "spec: {recipe: other}", "recipe cannot be changed: make another TaskService"},
		"RecipeVersion":     {"taskservice-minimal.yaml", "spec: {version: '3'}", ""},
		"ParallelLimit":     {"batchworkflow-minimal.yaml", "spec: {parallelLimit: 3}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := create(t, l, l.Namespace(t), tc.file, "")
			if err != nil {
				t.Fatal(err)
			}
			patch, err := yaml.YAMLToJSON([]byte(tc.change))
			if err != nil {
				t.Fatal(err)
			}
			err = l.Client.Patch(t.Context(), u, client.RawPatch(types.MergePatchType, patch))
			if tc.want == "" && err != nil {
				t.Errorf("refused: %v", err)
			}
			if tc.want != "" && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("Patch = %v, want %q", err, tc.want)
			}
		})
	}
}
