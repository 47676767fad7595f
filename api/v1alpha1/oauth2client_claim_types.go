// Copyright 2026 The Hallpass Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Claim is an additional claim in the tokens of a client.
//
// +kubebuilder:validation:XValidation:rule="has(self.value) != has(self.values)",message="a claim has either a value or values"
type Claim struct {
	// name is the name of the claim: a URL that you own, or another name with '/' or ':'. A
	// name without '/' and ':' requires an OAuth2Policy that allows the name and the value. If
	// no policy does, tokens do not carry the claim, and the condition ClaimsComplete is False.
	// +required
	Name ClaimName `json:"name,omitempty"`

	// value is the value of a claim that is a string. Set either value or values.
	// +optional
	Value ClaimValue `json:"value,omitempty"`

	// values are the values of a claim that is a list of strings, 1 to 16. Set either value or
	// values.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Values []ClaimValue `json:"values,omitempty"`
}

// ClaimName is the name of a claim.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=128
// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z][-a-zA-Z0-9_.:/]*$')",message="the name of a claim begins with a letter, and has letters, digits, '_', '-', '.', ':' and '/' only"
// +kubebuilder:validation:XValidation:rule="!(self.lowerAscii().replace('-', \"\").replace('_', \"\").replace('.', \"\").replace(':', \"\").replace('/', \"\") in ['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'clientid', 'clientuid', 'tokenuid', 'scope', 'active', 'tokentype', 'username', 'subtype', 'grantid', 'act', 'mayact', 'actor', 'actors', 'ancestor', 'ancestors', 'scopes', 'clientnamespace', 'clientname', 'resource', 'grant', 'name', 'givenname', 'familyname', 'middlename', 'nickname', 'preferredusername', 'profile', 'picture', 'website', 'email', 'emailverified', 'gender', 'birthdate', 'zoneinfo', 'locale', 'phonenumber', 'phonenumberverified', 'address', 'updatedat', 'azp', 'nonce', 'authtime', 'athash', 'chash', 'shash', 'acr', 'amr', 'subjwk', 'cnf', 'events', 'toe', 'txn', 'sid', 'authorizationdetails', 'tokenintrospection', 'vc', 'vp', 'subid', 'jwk', 'scp', 'role', 'group', 'realmaccess', 'resourceaccess', 'allowedorigins', 'typ', 'sessionstate', 'upn', 'oid', 'tid', 'wids', 'idtyp', 'appid', 'azpacr', 'appidacr', 'uniquename', 'nameid', 'nameidentifier', 'primarysid', 'groupsid', 'winaccountname', 'idp', 'actort', 'authorities', 'userid', 'user', 'uid', 'cid', 'login', 'policy', 'kubernetesio'])",message="this claim name is reserved, also in other spellings (case, '-', '_', '.', ':' and '/'), because APIs would believe that the issuer states it; use a URL of your own, such as https://example.com/tier"
// +kubebuilder:validation:XValidation:rule="!self.lowerAscii().matches('^(([^/:]*:/*)?([^/:]*[.])?(hallpass[.]dev|kubernetes[.]io|k8s[.]io|schemas[.]xmlsoap[.]org|schemas[.]microsoft[.]com|docs[.]oasis-open[.]org|aws[.]amazon[.]com|sts[.]amazonaws[.]com|hasura[.]io)[.]?([/:]|$)|(cognito|urn:zitadel|urn:oasis|urn:ietf|urn:hallpass):)')",message="claim names with this host or prefix are reserved, because APIs would believe that the issuer states them; use a URL of your own, such as https://example.com/tier"
// +kubebuilder:validation:XValidation:rule="self in ['roles', 'groups', 'entitlements', 'permissions'] || !(self.lowerAscii().replace('-', \"\").replace('_', \"\").replace('.', \"\").replace(':', \"\").replace('/', \"\") in ['roles', 'groups', 'entitlements', 'permissions'])",message="write roles, groups, entitlements and permissions exactly like this, in lower case; they require an OAuth2Policy that allows them"
type ClaimName string

// ClaimValue is the value of a claim: printable ASCII without quotation mark and backslash.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=1024
// +kubebuilder:validation:XValidation:rule="self.matches('^[ !#-[\\\\]-~]+$')",message="the value of a claim is printable ASCII without quotation marks and backslashes"
type ClaimValue string
