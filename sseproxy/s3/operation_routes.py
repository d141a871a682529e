"""What makes a request an operation, as data: the routes, and the names that decide nothing.

`operations.classify` reads these tables; a new sub-resource of S3 is a line here.
"""

from __future__ import annotations

# Method, scope, what must be there, what may be there, operation; "-" is nothing. Sub-resources
# are named as in the query, "@..." stands for a fact from the headers or a list in OPTIONAL.
TABLE = """
GET    service -                         @buckets   ListBuckets
GET    service @express                  @buckets   ListDirectoryBuckets
PUT    bucket  -                         -          CreateBucket
DELETE bucket  -                         -          DeleteBucket
HEAD   bucket  -                         -          HeadBucket
POST   bucket  -                         @form      PostObject
POST   bucket  @response                 -          WriteGetObjectResponse
GET    bucket  -                         @list      ListObjects
GET    bucket  list-type=2               @list      ListObjectsV2
GET    bucket  versions                  @list      ListObjectVersions
GET    bucket  uploads                   @list      ListMultipartUploads
POST   bucket  delete                    -          DeleteObjects
GET    bucket  session                   -          CreateSession
POST   bucket  metadataConfiguration     -          CreateBucketMetadataConfiguration
GET    bucket  metadataConfiguration     -          GetBucketMetadataConfiguration
DELETE bucket  metadataConfiguration     -          DeleteBucketMetadataConfiguration
POST   bucket  metadataTable             -          CreateBucketMetadataTableConfiguration
GET    bucket  metadataTable             -          GetBucketMetadataTableConfiguration
DELETE bucket  metadataTable             -          DeleteBucketMetadataTableConfiguration
PUT    bucket  metadataAnnotationTable   -          UpdateBucketMetadataAnnotationTableConfiguration
PUT    bucket  metadataInventoryTable    -          UpdateBucketMetadataInventoryTableConfiguration
PUT    bucket  metadataJournalTable      -          UpdateBucketMetadataJournalTableConfiguration
GET    bucket  analytics                 @list      ListBucketAnalyticsConfigurations
GET    bucket  analytics&id              -          GetBucketAnalyticsConfiguration
PUT    bucket  analytics&id              -          PutBucketAnalyticsConfiguration
DELETE bucket  analytics&id              -          DeleteBucketAnalyticsConfiguration
GET    bucket  intelligent-tiering       @list      ListBucketIntelligentTieringConfigurations
GET    bucket  intelligent-tiering&id    -          GetBucketIntelligentTieringConfiguration
PUT    bucket  intelligent-tiering&id    -          PutBucketIntelligentTieringConfiguration
DELETE bucket  intelligent-tiering&id    -          DeleteBucketIntelligentTieringConfiguration
GET    bucket  inventory                 @list      ListBucketInventoryConfigurations
GET    bucket  inventory&id              -          GetBucketInventoryConfiguration
PUT    bucket  inventory&id              -          PutBucketInventoryConfiguration
DELETE bucket  inventory&id              -          DeleteBucketInventoryConfiguration
GET    bucket  metrics                   @list      ListBucketMetricsConfigurations
GET    bucket  metrics&id                -          GetBucketMetricsConfiguration
PUT    bucket  metrics&id                -          PutBucketMetricsConfiguration
DELETE bucket  metrics&id                -          DeleteBucketMetricsConfiguration
GET    bucket  abac                      -          GetBucketAbac
PUT    bucket  abac                      -          PutBucketAbac
GET    bucket  accelerate                -          GetBucketAccelerateConfiguration
PUT    bucket  accelerate                -          PutBucketAccelerateConfiguration
GET    bucket  acl                       -          GetBucketAcl
PUT    bucket  acl                       -          PutBucketAcl
GET    bucket  cors                      -          GetBucketCors
PUT    bucket  cors                      -          PutBucketCors
DELETE bucket  cors                      -          DeleteBucketCors
GET    bucket  encryption                -          GetBucketEncryption
PUT    bucket  encryption                -          PutBucketEncryption
DELETE bucket  encryption                -          DeleteBucketEncryption
GET    bucket  lifecycle                 -          GetBucketLifecycleConfiguration
PUT    bucket  lifecycle                 -          PutBucketLifecycleConfiguration
DELETE bucket  lifecycle                 -          DeleteBucketLifecycle
GET    bucket  location                  -          GetBucketLocation
GET    bucket  logging                   -          GetBucketLogging
PUT    bucket  logging                   -          PutBucketLogging
GET    bucket  notification              -          GetBucketNotificationConfiguration
PUT    bucket  notification              -          PutBucketNotificationConfiguration
GET    bucket  object-lock               -          GetObjectLockConfiguration
PUT    bucket  object-lock               -          PutObjectLockConfiguration
GET    bucket  ownershipControls         -          GetBucketOwnershipControls
PUT    bucket  ownershipControls         -          PutBucketOwnershipControls
DELETE bucket  ownershipControls         -          DeleteBucketOwnershipControls
GET    bucket  policy                    -          GetBucketPolicy
PUT    bucket  policy                    -          PutBucketPolicy
DELETE bucket  policy                    -          DeleteBucketPolicy
GET    bucket  policyStatus              -          GetBucketPolicyStatus
GET    bucket  publicAccessBlock         -          GetPublicAccessBlock
PUT    bucket  publicAccessBlock         -          PutPublicAccessBlock
DELETE bucket  publicAccessBlock         -          DeletePublicAccessBlock
GET    bucket  replication               -          GetBucketReplication
PUT    bucket  replication               -          PutBucketReplication
DELETE bucket  replication               -          DeleteBucketReplication
GET    bucket  requestPayment            -          GetBucketRequestPayment
PUT    bucket  requestPayment            -          PutBucketRequestPayment
GET    bucket  tagging                   -          GetBucketTagging
PUT    bucket  tagging                   -          PutBucketTagging
DELETE bucket  tagging                   -          DeleteBucketTagging
GET    bucket  versioning                -          GetBucketVersioning
PUT    bucket  versioning                -          PutBucketVersioning
GET    bucket  website                   -          GetBucketWebsite
PUT    bucket  website                   -          PutBucketWebsite
DELETE bucket  website                   -          DeleteBucketWebsite
GET    object  -                         partNumber GetObject
HEAD   object  -                         partNumber HeadObject
PUT    object  -                         -          PutObject
DELETE object  -                         -          DeleteObject
PUT    object  @copy                     -          CopyObject
PUT    object  renameObject&@rename      -          RenameObject
POST   object  uploads                   @form      CreateMultipartUpload
PUT    object  uploadId&partNumber       -          UploadPart
PUT    object  uploadId&partNumber&@copy -          UploadPartCopy
POST   object  uploadId                  -          CompleteMultipartUpload
DELETE object  uploadId                  -          AbortMultipartUpload
GET    object  uploadId                  @list      ListParts
GET    object  acl                       -          GetObjectAcl
PUT    object  acl                       -          PutObjectAcl
GET    object  annotation                @list      ListObjectAnnotations
GET    object  annotation&annotationName -          GetObjectAnnotation
PUT    object  annotation&annotationName -          PutObjectAnnotation
DELETE object  annotation&annotationName -          DeleteObjectAnnotation
GET    object  attributes                @list      GetObjectAttributes
PUT    object  encryption                -          UpdateObjectEncryption
GET    object  legal-hold                -          GetObjectLegalHold
PUT    object  legal-hold                -          PutObjectLegalHold
POST   object  restore                   -          RestoreObject
GET    object  retention                 -          GetObjectRetention
PUT    object  retention                 -          PutObjectRetention
POST   object  select&select-type=2      -          SelectObjectContent
GET    object  tagging                   -          GetObjectTagging
PUT    object  tagging                   -          PutObjectTagging
DELETE object  tagging                   -          DeleteObjectTagging
GET    object  torrent                   -          GetObjectTorrent
"""

OPTIONAL = {
    "@buckets": (
        "prefix marker max-keys max-buckets bucket-region continuation-token max-directory-buckets"
    ),
    "@list": (
        "prefix delimiter marker max-keys encoding-type continuation-token start-after "
        "fetch-owner metadata key-marker version-id-marker upload-id-marker max-uploads "
        "max-parts part-number-marker max-annotation-results annotation-prefix"
    ),
}

# Query names, in lower case, that say who asks or how to answer, never what is done.
NEUTRAL = {
    *("x-id", "versionid", "awsaccesskeyid", "signature", "expires", "content-md5"),
    *("content-type", "q-sign-algorithm", "q-ak", "q-sign-time", "q-key-time"),
    *("q-header-list", "q-url-param-list", "q-signature"),
}
NEUTRAL_PREFIXES = ("x-amz-", "x-cos-", "response-")  # V2 pre-signing puts headers in the query
# Sub-resources whose value matters, so that "name=value" is their name in TABLE.
VALUED = {"list-type", "select-type"}
# Server-side processing on read: with a value, but not to be ignored as other unknown names are.
PROCESSING = {"ci-process", "x-oss-process", "lambdaArn"}

COPY_SOURCE = {"x-amz-copy-source", "x-cos-copy-source"}
RENAME_SOURCE = "x-amz-rename-source"
SOURCE_HEADERS = COPY_SOURCE | {RENAME_SOURCE}  # each names an object of any bucket
# Headers that make a store write something else than the body, or elsewhere.
CHANGES_WRITES = {
    "x-amz-write-offset-bytes",
    "x-amz-meta-snowball-auto-extract",
    "x-amz-snowball-auto-extract",
    "content-range",
    "pic-operations",
}
CHANGES_WRITES_PREFIX = "x-minio-"  # x-minio-extract, x-minio-source-*, ...
