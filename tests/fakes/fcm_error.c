#include "tests/fakes/fcm_error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

#define TYPE "type.googleapis.com/"

struct code {
	unsigned status;
	const char *name;
	const char *canonical; /* google.rpc.Code */
	const char *message;
	const char *info; /* reason of a google.rpc.ErrorInfo; NULL: none */
	bool fcm;         /* one of FCM's own: carries an FcmError */
};

/* The first of a status is its usual one. */
/* clang-format off */
static const struct code codes[] = {
	{ 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT",
	  "The registration token is not a valid FCM registration token", NULL, true },
	{ 401, "UNAUTHENTICATED", "UNAUTHENTICATED",
	  "Request had invalid authentication credentials. Expected OAuth 2 access token, login "
	  "cookie or other valid authentication credential.", "ACCESS_TOKEN_EXPIRED", false },
	{ 401, "THIRD_PARTY_AUTH_ERROR", "UNAUTHENTICATED",
	  "Request is missing required authentication credential.", NULL, true },
	{ 403, "SENDER_ID_MISMATCH", "PERMISSION_DENIED", "SenderId mismatch", NULL, true },
	{ 403, "PERMISSION_DENIED", "PERMISSION_DENIED",
	  "Permission 'cloudmessaging.messages.create' denied on resource.",
	  "IAM_PERMISSION_DENIED", false },
	{ 403, "SERVICE_DISABLED", "PERMISSION_DENIED",
	  "Firebase Cloud Messaging API has not been used in this project before or it is "
	  "disabled.",
	  "SERVICE_DISABLED", false },
	{ 404, "UNREGISTERED", "NOT_FOUND", "Requested entity was not found.", NULL, true },
	{ 404, "NOT_FOUND", "NOT_FOUND", "Requested entity was not found.", NULL, false },
	{ 429, "QUOTA_EXCEEDED", "RESOURCE_EXHAUSTED",
	  "Message rate quota exceeded for this device or project.", NULL, true },
	{ 429, "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED", "Resource has been exhausted.", NULL,
	  false },
	{ 500, "INTERNAL", "INTERNAL", "Internal error encountered.", NULL, true },
	{ 503, "UNAVAILABLE", "UNAVAILABLE", "The service is currently unavailable.", NULL, true },
	{ 500, "UNSPECIFIED_ERROR", "UNKNOWN", "Unknown error.", NULL, true },
};
/* clang-format on */

static const struct code *find_code(const char *name)
{
	static const struct code unknown = { 500, "", "UNKNOWN", "Unknown error.", NULL, true };

	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		if (strcmp(codes[i].name, name) == 0)
			return &codes[i];
	}
	return &unknown;
}

const char *fcm_error_code(unsigned status)
{
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		if (codes[i].status == status)
			return codes[i].name;
	}
	return status < 500 ? "INVALID_ARGUMENT" : "INTERNAL";
}

static json_t *make_details(const struct fcm_error *error, const struct code *code,
                            const char *message)
{
	const char *info = error->info != NULL ? error->info : code->info;
	json_t *details = json_array();

	if (code->fcm && !error->no_fcm_error)
		json_array_append_new(details, json_pack("{s:s,s:s}", "@type",
		                                         TYPE "google.firebase.fcm.v1.FcmError",
		                                         "errorCode", error->code));
	if (error->field != NULL)
		json_array_append_new(details,
		                      json_pack("{s:s,s:[{s:s,s:s}]}", "@type",
		                                TYPE "google.rpc.BadRequest", "fieldViolations",
		                                "field", error->field, "description", message));
	if (info != NULL)
		json_array_append_new(details, json_pack("{s:s,s:s,s:s}", "@type",
		                                         TYPE "google.rpc.ErrorInfo", "reason",
		                                         info, "domain", "googleapis.com"));
	return details;
}

void fcm_error_answer(struct answer *answer, unsigned status, const struct fcm_error *error)
{
	const struct code *code = find_code(error->code);
	const char *message = error->message != NULL ? error->message : code->message;
	json_t *details = make_details(error, code, message);
	json_t *body;
	char *text;

	answer->status = status != 0 ? status : code->status;
	answer->type = "application/json; charset=UTF-8";
	snprintf(answer->reason, sizeof(answer->reason), "%s", error->code);
	body = json_pack("{s:{s:i,s:s,s:s}}", "error", "code", (int)answer->status, "message",
	                 message, "status", code->canonical);
	if (json_array_size(details) > 0)
		json_object_set(json_object_get(body, "error"), "details", details);
	text = json_dumps(body, JSON_COMPACT);
	buf_text(&answer->body, text);
	free(text);
	json_decref(details);
	json_decref(body);
}

void fcm_error_not_served(struct answer *answer)
{
	answer->status = 404;
	answer->type = "text/html; charset=UTF-8";
	buf_text(&answer->body, "<!DOCTYPE html>\n<html lang=en>\n<title>Error 404 (Not Found)!!1"
	                        "</title>\n<p>The requested URL was not found on this server.\n");
}
