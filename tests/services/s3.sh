# What the two S3 servers share; read by them with `.`.

access_key=${AWS_ACCESS_KEY_ID:-aqstore}
secret_key=${AWS_SECRET_ACCESS_KEY:-aqstore-secret}
bucket=${AQSTORE_S3_BUCKET:-aqstore}
[ "${1:-}" != run ] || AQSTORE_S3_PORT=${AQSTORE_S3_PORT:-9000}

address() {
	echo "http://127.0.0.1:$(cat "$home/port")"
}

hint() {
	keys="yours, of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" shown=...
	[ -n "${AWS_SECRET_ACCESS_KEY:-}" ] || { keys="$access_key and $secret_key" shown=$secret_key; }
	cat <<-END
		$service listens on $(address); its keys: $keys.
		It has the bucket '$bucket': the files below $home/objects/$bucket.
		Ctrl-C stops it and removes what it holds. In aqstore's config:

		  tier: {to: "s3://$bucket/aqstore", endpoint: "$(address)", region: us-east-1}

		and in the environment of aqstore and of other tools:

		  export AWS_ACCESS_KEY_ID=$access_key AWS_SECRET_ACCESS_KEY=$shown
	END
}
