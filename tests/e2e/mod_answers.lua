-- Logs the errors that app servers answer. mod_cloud_notify of Prosody 13.0.1 doesn't: its handlers
-- expect a stanza where send_iq() gives them an error object, so it counts none of them either.
module:hook("iq/host", function (event)
	local stanza = event.stanza;
	if stanza.attr.type == "error" then
		local kind, condition = stanza:get_error();
		module:log("info", "Answered <%s:%s>", kind, condition);
	end
end, 1000);
